# Consul, on each of the three servers: /etc/consul.d/server.hcl
# Check it with: consul validate /etc/consul.d/server.hcl

datacenter       = "dc1"
data_dir         = "/opt/consul"
bind_addr        = "{{ GetPrivateIP }}"
client_addr      = "127.0.0.1"
server           = true
bootstrap_expect = 3
retry_join       = ["10.0.0.11", "10.0.0.12", "10.0.0.13"]

# The same everywhere: consul keygen
encrypt = "cmVwbGFjZS10aGlzLXdpdGgteW91ci1vd24ta2V5ISE=" # says "replace-this-with-your-own-key!!"

ui_config {
  enabled = true
}

# `consul acl bootstrap`, once. Then make one token each for agents, Nomad, Traefik and the platform from
# nomad/acl/consul-*.hcl.
acl {
  enabled                  = true
  default_policy           = "deny"
  enable_token_persistence = true

  tokens {
    agent = "REPLACE-WITH-AGENT-TOKEN"
  }
}
