# Consul: what the platform needs. It reads the health of apps, registers its own API, and removes what a
# lost node left behind; the last is why it may write services.
#
#   consul acl policy create -name paas -rules @nomad/acl/consul-platform-policy.hcl
#   consul acl token create -description paas -policy-name paas

agent_prefix "" {
  policy = "read"
}

node_prefix "" {
  policy = "read"
}

service_prefix "" {
  policy = "write"
}
