# What the platform's own token may do. Nothing here reaches a management right.
#
#   nomad acl policy apply -description "The PaaS" paas nomad/acl/platform-policy.hcl
#   nomad acl token create -name paas -policy paas

# Organizations are namespaces that appear and go while the platform runs, so the rule covers all.
# To keep other workloads on the same cluster out of its reach, give their namespaces a rule of their
# own, which then counts instead: namespace "ops" { policy = "deny" }.
namespace "*" {
  capabilities = [
    "list-jobs",
    "parse-job",
    "read-job",
    "submit-job",
    "read-logs",
  ]

  # One Variable a release, at nomad/jobs/<job>/web/web-r<number>; written once, then only deleted.
  # "read" is what lets a repeated put see that the values are the same.
  variables {
    path "nomad/jobs/*" {
      capabilities = ["write", "read", "list", "destroy"]
    }
  }
}

# Which version runs, and whether some node runs containers.
agent {
  policy = "read"
}

node {
  policy = "read"
}

# The languages' runtimes that slugs are run with (PAAS_NOMAD_SLUG_VOLUME), read-only.
host_volume "paas-runtime" {
  policy = "read"
}
