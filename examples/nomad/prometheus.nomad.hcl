# Three tasks in one group, which share a network and the allocation's folder. Submit it from this folder: the files are
# read by `nomad job run`, and nothing else has to reach the clients but the images.
job "prometheus" {
  type = "service"

  group "prometheus" {
    network {
      mode = "bridge"
      port "http" { to = 9090 }
      port "admin" { to = 9797 }
    }

    # Fills the shared folder before Prometheus starts, and ends.
    task "confcar-once" {
      driver = "docker"
      lifecycle {
        hook    = "prestart"
        sidecar = false
      }
      config {
        image           = "confcar:0.1.0"
        args            = ["once", "--timeout", "2m", "-c", "/local/confcar.yaml"]
        readonly_rootfs = true
        cap_drop        = ["ALL"]
      }
      env {
        CONSUL_HTTP_ADDR = "http://${attr.unique.network.ip-address}:8500"
        SHARED_DIRECTORY = "${NOMAD_ALLOC_DIR}/data/prometheus"
      }
      template {
        data            = file("confcar.yaml")
        destination     = "local/confcar.yaml"
        left_delimiter  = "[[" # the braces in these files are confcar's
        right_delimiter = "]]"
        change_mode     = "noop"
      }
      template {
        data            = file("prometheus.yml.j2")
        destination     = "local/prometheus.yml.j2"
        left_delimiter  = "[["
        right_delimiter = "]]"
        change_mode     = "noop"
      }
      resources {
        cpu    = 50
        memory = 128
      }
    }

    # Keeps the files as they should be; starts beside Prometheus and is restarted where it ends.
    task "confcar" {
      driver = "docker"
      lifecycle {
        hook    = "poststart"
        sidecar = true
      }
      config {
        image           = "confcar:0.1.0"
        args            = ["run", "-c", "/local/confcar.yaml"]
        readonly_rootfs = true
        cap_drop        = ["ALL"]
      }
      env {
        CONSUL_HTTP_ADDR      = "http://${attr.unique.network.ip-address}:8500"
        SHARED_DIRECTORY      = "${NOMAD_ALLOC_DIR}/data/prometheus"
        CONFCAR_ADMIN__LISTEN = "0.0.0.0:9797" # Nomad's check comes from outside the group's network
      }
      template {
        data            = file("confcar.yaml")
        destination     = "local/confcar.yaml"
        left_delimiter  = "[["
        right_delimiter = "]]"
        change_mode     = "noop"
      }
      template {
        data            = file("prometheus.yml.j2")
        destination     = "local/prometheus.yml.j2"
        left_delimiter  = "[["
        right_delimiter = "]]"
        change_mode     = "noop"
      }
      resources {
        cpu    = 50
        memory = 128
      }
      service {
        name     = "confcar-prometheus"
        provider = "nomad"
        port     = "admin"
        check {
          type     = "http"
          path     = "/readyz"
          interval = "10s"
          timeout  = "5s"
        }
      }
    }

    task "prometheus" {
      driver = "docker"
      config {
        image = "prom/prometheus:v3.5.0"
        args = [
          "--config.file=${NOMAD_ALLOC_DIR}/data/prometheus/prometheus.yml",
          "--web.enable-lifecycle",
          "--storage.tsdb.path=${NOMAD_ALLOC_DIR}/data/tsdb", # which user 65532 may write to
        ]
        ports = ["http"]
      }
      user = "65532:65532" # the files are for their owner and its group
      resources {
        cpu    = 200
        memory = 512
      }
    }
  }
}
