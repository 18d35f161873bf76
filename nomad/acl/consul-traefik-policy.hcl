# Consul: what Traefik's Consul Catalog provider needs.
#
#   consul acl policy create -name traefik -rules @nomad/acl/consul-traefik-policy.hcl
#   consul acl token create -description traefik -policy-name traefik

node_prefix "" {
  policy = "read"
}

service_prefix "" {
  policy = "read"
}
