# Nomad, on each of the three servers: /etc/nomad.d/server.hcl
# Check it with: nomad config validate /etc/nomad.d/server.hcl

datacenter = "dc1"
data_dir   = "/opt/nomad"

# The address of this server in your private network; never a public one.
bind_addr = "{{ GetPrivateIP }}"

server {
  enabled          = true
  bootstrap_expect = 3

  # The same on all three: nomad operator gossip keyring generate
  encrypt = "cmVwbGFjZS10aGlzLXdpdGgteW91ci1vd24ta2V5ISE=" # says "replace-this-with-your-own-key!!"

  server_join {
    retry_join = ["10.0.0.11", "10.0.0.12", "10.0.0.13"]
  }
}

# `nomad acl bootstrap`, once; keep that management token away from the platform, which gets its own:
# nomad/acl/platform-policy.hcl.
acl {
  enabled = true
}

# Certificates: nomad tls ca create; nomad tls cert create -server -region global
# verify_https_client = false lets the platform and browsers in without a client certificate; the ACL
# token is what counts.
tls {
  http                   = true
  rpc                    = true
  ca_file                = "/etc/nomad.d/ca.pem"
  cert_file              = "/etc/nomad.d/server.pem"
  key_file               = "/etc/nomad.d/server-key.pem"
  verify_server_hostname = true
  verify_https_client    = false
}

# The agent's own Consul. Its token: nomad/acl/consul-nomad-policy.hcl.
consul {
  address = "127.0.0.1:8500"
  token   = "REPLACE-WITH-CONSUL-TOKEN"
}

# The platform holds one connection for each thing that it waits for; the default is 100.
limits {
  http_max_conns_per_client = 1000
}
