# The platform as a Nomad job: the API and the workers.
#
#   nomad namespace apply paas
#   nomad var put -namespace=paas nomad/jobs/paas \
#     PAAS_DATABASE_URL=postgresql://… PAAS_SECRET_KEY=… PAAS_NOMAD_TOKEN=… PAAS_CONSUL_TOKEN=…
#   nomad job run nomad/jobs/paas.nomad.hcl
#
# Repositories and slugs are on the control node's disk (host volume "paas-home"), so both groups run
# there; Postgres is elsewhere. Apps do not notice when any of this stops.

variable "wildcard_base" {
  type        = string
  default     = "apps.example.com"
  description = "What every app's host name ends in; *. this leads to Traefik."
}

variable "host" {
  type        = string
  default     = "paas.example.com"
  description = "Where people and git reach the API."
}

variable "registry" {
  type        = string
  default     = "registry.example.com:5000"
  description = "Where builds push images and nodes pull them from."
}

variable "program" {
  type        = string
  default     = "/opt/paas/venv/bin/paas"
  description = "On the control node, in a clone: python3 -m venv /opt/paas/venv; /opt/paas/venv/bin/pip install ."
}

job "paas" {
  namespace   = "paas"
  datacenters = ["*"]
  type        = "service"

  constraint {
    attribute = "${meta.paas}"
    value     = "control"
  }

  # The new API answers before the old one stops; pushes under way are finished by the old one.
  update {
    canary           = 1
    max_parallel     = 1
    auto_promote     = true
    auto_revert      = true
    min_healthy_time = "5s"
    healthy_deadline = "2m"
  }

  group "api" {
    count = 1

    network {
      port "http" {}
    }

    # Before anything new serves. Migrations expand first, so that the old version still works.
    task "migrate" {
      driver = "raw_exec"

      lifecycle {
        hook    = "prestart"
        sidecar = false
      }

      config {
        command = var.program
        args    = ["migrate"]
      }

      template {
        data        = local.settings
        destination = "secrets/paas.env"
        env         = true
      }

      resources {
        cpu    = 200
        memory = 256
      }
    }

    task "api" {
      driver         = "raw_exec"
      shutdown_delay = "5s"
      kill_timeout   = "60s"

      config {
        command = var.program
        args    = ["serve"]
      }

      env {
        PAAS_API_HOST = "${NOMAD_IP_http}"
        PAAS_API_PORT = "${NOMAD_PORT_http}"
      }

      template {
        data        = local.settings
        destination = "secrets/paas.env"
        env         = true
      }

      service {
        name     = "paas-api"
        port     = "http"
        provider = "consul"

        tags = [
          "traefik.enable=true",
          "traefik.http.routers.paas-api.rule=Host(`${var.host}`)",
          "traefik.http.routers.paas-api.entrypoints=web",
        ]

        check {
          type     = "http"
          path     = "/healthz"
          interval = "5s"
          timeout  = "2s"
        }
      }

      resources {
        cpu    = 500
        memory = 512
      }
    }
  }

  group "worker" {
    # Any number: a lease for each piece of work keeps them apart.
    count = 1

    task "worker" {
      driver       = "raw_exec"
      kill_timeout = "60s"

      config {
        command = var.program
        args    = ["worker"]
      }

      template {
        data        = local.settings
        destination = "secrets/paas.env"
        env         = true
      }

      resources {
        cpu    = 1000
        memory = 1024
      }
    }
  }
}

locals {
  settings = <<-EOT
    {{ with nomadVar "nomad/jobs/paas" }}{{ range .Tuples }}{{ .K }}={{ .V | toJSON }}
    {{ end }}{{ end }}
    PAAS_HOME=/opt/paas/home
    PAAS_SCHEDULER=nomad
    PAAS_WILDCARD_BASE=${var.wildcard_base}
    PAAS_PUBLIC_URL=http://${var.host}
    PAAS_REGISTRY=${var.registry}
    PAAS_NOMAD_ADDR=https://127.0.0.1:4646
    PAAS_NOMAD_CA_FILE=/etc/nomad.d/ca.pem
    PAAS_NOMAD_SLUG_VOLUME=paas-runtime
    PAAS_CONSUL_ADDR=127.0.0.1:8500
  EOT
}
