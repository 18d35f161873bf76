# Consul, on every other node: /etc/consul.d/agent.hcl
# Check it with: consul validate /etc/consul.d/agent.hcl

datacenter  = "dc1"
data_dir    = "/opt/consul"
bind_addr   = "{{ GetPrivateIP }}"
client_addr = "127.0.0.1"
retry_join  = ["10.0.0.11", "10.0.0.12", "10.0.0.13"]

# The same everywhere: consul keygen
encrypt = "cmVwbGFjZS10aGlzLXdpdGgteW91ci1vd24ta2V5ISE=" # says "replace-this-with-your-own-key!!"


# The token: nomad/acl/consul-agent-policy.hcl.
acl {
  enabled                  = true
  default_policy           = "deny"
  enable_token_persistence = true

  tokens {
    agent = "REPLACE-WITH-AGENT-TOKEN"
  }
}
