# Consul: what every Nomad agent (server and client) needs, to register itself and the apps' services.
#
#   consul acl policy create -name nomad -rules @nomad/acl/consul-nomad-policy.hcl
#   consul acl token create -description nomad -policy-name nomad

agent_prefix "" {
  policy = "read"
}

node_prefix "" {
  policy = "read"
}

service_prefix "" {
  policy = "write"
}
