# Consul: what a Consul agent's own token ("agent" in its acl block) needs, to keep its node up to date.
#
#   consul acl policy create -name agent -rules @nomad/acl/consul-agent-policy.hcl
#   consul acl token create -description agent -policy-name agent

node_prefix "" {
  policy = "write"
}

service_prefix "" {
  policy = "read"
}
