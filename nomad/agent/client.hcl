# Nomad, on each node that runs apps: /etc/nomad.d/client.hcl
# Check it with: nomad config validate /etc/nomad.d/client.hcl

datacenter = "dc1"
data_dir   = "/opt/nomad"
bind_addr  = "{{ GetPrivateIP }}"

client {
  enabled = true

  server_join {
    retry_join = ["10.0.0.11", "10.0.0.12", "10.0.0.13"]
  }

  # The interface on which apps are reached by the router: the private network's.
  network_interface = "eth1"

  # 1000 for each core, so that an app's cpuMillis are thousandths of a core when room is looked for.
  # (An app may use more while the node is idle: on Nomad, CPU is a weight.)
  cpu_total_compute = 8000

  # Apps get 15 seconds to finish after SIGTERM; their jobs may not ask for more than this.
  max_kill_timeout = "60s"

  # A node that is restarted gives its apps to others first.
  drain_on_shutdown {
    deadline           = "2m"
    force              = false
    ignore_system_jobs = false
  }

  # Procfile apps (driver "exec") see three things of the node: a few files of /etc, a skeleton, and the
  # runtimes of their languages, mounted read-only at /usr. Make the last two once:
  #
  #   debootstrap --variant=minbase --include=python3,ca-certificates,nodejs bookworm /opt/paas/rootfs
  #   mkdir -p /opt/paas/root/usr/bin /opt/paas/root/var/tmp
  #   for d in bin sbin lib lib64; do ln -s usr/$d /opt/paas/root/$d; done
  #   cp /opt/paas/rootfs/bin/dash /opt/paas/root/usr/bin/sh
  #
  # and set PAAS_NOMAD_SLUG_VOLUME=paas-runtime. Builds must use the same versions of the languages.
  host_volume "paas-runtime" {
    path      = "/opt/paas/rootfs/usr"
    read_only = true
  }

  # Replaces Nomad's default, all of /usr, of which every file would be linked for every start.
  chroot_env = {
    "/opt/paas/root"       = "/"
    "/opt/paas/rootfs/etc" = "/etc"
    "/etc/resolv.conf"     = "/etc/resolv.conf"
    "/etc/hosts"           = "/etc/hosts"
  }

  # Only on the node that runs the platform itself (nomad/jobs/paas.nomad.hcl), whose repositories and
  # slugs are on its disk.
  #
  # meta {
  #   paas = "control"
  # }
  # host_volume "paas-home" { path = "/opt/paas/home" }
}

acl {
  enabled = true
}

tls {
  http                   = true
  rpc                    = true
  ca_file                = "/etc/nomad.d/ca.pem"
  cert_file              = "/etc/nomad.d/client.pem"
  key_file               = "/etc/nomad.d/client-key.pem"
  verify_server_hostname = true
  verify_https_client    = false
}

consul {
  address = "127.0.0.1:8500"
  token   = "REPLACE-WITH-CONSUL-TOKEN"
}

limits {
  http_max_conns_per_client = 1000
}

# Dockerfile apps. They are deployed by digest; old images are removed when nothing has used them for a
# while. The registry (PAAS_REGISTRY) must be trusted by this node's Docker.
plugin "docker" {
  config {
    allow_privileged = false

    # Processes and threads of one container: a fork bomb must not take the node.
    pids_limit = 4096

    volumes {
      enabled = false
    }

    gc {
      image       = true
      image_delay = "24h"
    }

    auth {
      config = "/etc/docker/config.json"
    }
  }
}

# The platform's own job uses raw_exec, on the control node only; enable it there, and nowhere else.
#
# plugin "raw_exec" { config { enabled = true } }
