// Made by scripts/calculator_rules.py.
export const RULES = {
  "questions": {
    "service_name": {
      "help": "What is the service called? Its project, package, process and image are named after it."
    },
    "archetype": {
      "help": "What does the service start out as?",
      "choices": {
        "payments": "payments: a payment API that loses nothing, on a database",
        "minimal": "minimal: one greeting route, the whole chassis",
        "inference": "inference: predictions by an ONNX model, warmed up before it is used"
      }
    },
    "cpu_limit": {
      "help": "How much CPU may one replica use? Cores (\"2\", \"0.5\") or millicores (\"500m\")."
    },
    "memory_per_worker_mib": {
      "help": "How much memory does one worker process need, in MiB?",
      "lowest": 32,
      "highest": 65536,
      "unit": "MiB"
    },
    "memory_limit_mib": {
      "help": "How much memory may one replica use, in MiB? A quarter of it is held in reserve.",
      "lowest": 64,
      "highest": 1048576,
      "unit": "MiB"
    },
    "workload": {
      "help": "What does a request spend its time on? It sets how many workers there are to a core.",
      "choices": {
        "io": "io: waiting for databases and other services (2 workers a core, and one)",
        "cpu": "cpu: computing (one worker a core)"
      }
    },
    "database": {
      "help": "Where does it keep its data?",
      "choices": {
        "none": "none",
        "sqlite": "sqlite: in a file, nothing to install, one replica",
        "postgresql": "postgresql"
      }
    },
    "events": {
      "help": "Where do its events go?",
      "choices": {
        "log": "log: a line in the log each",
        "redis": "redis: a Redis stream"
      }
    },
    "auth": {
      "help": "How do callers prove who they are?",
      "choices": {
        "none": "none: they don't",
        "jwt": "jwt: by a bearer token (JWT)"
      }
    },
    "replicas_min": {
      "help": "How many replicas run at least?",
      "lowest": 1,
      "highest": 1000,
      "unit": "replicas"
    },
    "replicas_max": {
      "help": "And at most?",
      "lowest": 1,
      "highest": 1000,
      "unit": "replicas"
    },
    "database_max_connections": {
      "help": "How many connections does the database take in all (max_connections)? Ten are left to others.",
      "lowest": 1,
      "highest": 1000000,
      "unit": "connections"
    },
    "request_timeout_seconds": {
      "help": "After how many seconds is a request that isn't finished given up (504)?",
      "lowest": 1,
      "highest": 300,
      "unit": "seconds"
    },
    "drain_seconds": {
      "help": "For how many seconds does a stopping replica go on accepting, while traffic is led elsewhere?",
      "lowest": 3,
      "highest": 120,
      "unit": "seconds"
    },
    "keepalive_seconds": {
      "help": "For how many seconds is an idle connection kept? Longer than the idle timeout of the proxy in front, if that pools its connections.",
      "lowest": 1,
      "highest": 600,
      "unit": "seconds"
    },
    "deploy": {
      "help": "What is it deployed with?",
      "choices": {
        "compose": "compose: Docker Compose, on one machine",
        "kubernetes": "kubernetes: manifests for Kustomize"
      },
      "several": true
    },
    "python_version": {
      "help": "Which Python does its image have?",
      "choices": {
        "3.13": "3.13",
        "3.12": "3.12",
        "3.11": "3.11"
      }
    },
    "base_image": {
      "help": "What is its image based on?",
      "choices": {
        "distroless": "distroless: Python alone, no shell",
        "slim": "slim: a small Debian, with a shell"
      }
    },
    "ci": {
      "help": "Who runs its checks?",
      "choices": {
        "github": "github: GitHub Actions",
        "gitlab": "gitlab: GitLab CI",
        "none": "none: nobody"
      }
    },
    "tracing": {
      "help": "Does it send traces (OpenTelemetry)?"
    }
  },
  "defaults": {
    "database": {
      "payments": "sqlite",
      "minimal": "none",
      "inference": "none"
    },
    "payments none": {
      "service_name": "payment-api",
      "cpu_limit": "2",
      "memory_per_worker_mib": "150",
      "memory_limit_mib": "1024",
      "workload": "io",
      "events": "log",
      "auth": "none",
      "replicas_min": "3",
      "replicas_max": "6",
      "database_max_connections": "100",
      "request_timeout_seconds": "15",
      "drain_seconds": "10",
      "keepalive_seconds": "5",
      "deploy": [
        "compose",
        "kubernetes"
      ],
      "python_version": "3.13",
      "base_image": "distroless",
      "ci": "github",
      "tracing": false
    },
    "payments sqlite": {
      "service_name": "payment-api",
      "cpu_limit": "2",
      "memory_per_worker_mib": "150",
      "memory_limit_mib": "1024",
      "workload": "io",
      "events": "log",
      "auth": "none",
      "replicas_min": "1",
      "replicas_max": "1",
      "database_max_connections": "100",
      "request_timeout_seconds": "15",
      "drain_seconds": "10",
      "keepalive_seconds": "5",
      "deploy": [
        "compose"
      ],
      "python_version": "3.13",
      "base_image": "distroless",
      "ci": "github",
      "tracing": false
    },
    "payments postgresql": {
      "service_name": "payment-api",
      "cpu_limit": "2",
      "memory_per_worker_mib": "150",
      "memory_limit_mib": "1024",
      "workload": "io",
      "events": "log",
      "auth": "none",
      "replicas_min": "3",
      "replicas_max": "6",
      "database_max_connections": "100",
      "request_timeout_seconds": "15",
      "drain_seconds": "10",
      "keepalive_seconds": "5",
      "deploy": [
        "compose",
        "kubernetes"
      ],
      "python_version": "3.13",
      "base_image": "distroless",
      "ci": "github",
      "tracing": false
    },
    "minimal none": {
      "service_name": "payment-api",
      "cpu_limit": "2",
      "memory_per_worker_mib": "150",
      "memory_limit_mib": "1024",
      "workload": "io",
      "events": "log",
      "auth": "none",
      "replicas_min": "3",
      "replicas_max": "6",
      "database_max_connections": "100",
      "request_timeout_seconds": "15",
      "drain_seconds": "10",
      "keepalive_seconds": "5",
      "deploy": [
        "compose",
        "kubernetes"
      ],
      "python_version": "3.13",
      "base_image": "distroless",
      "ci": "github",
      "tracing": false
    },
    "minimal sqlite": {
      "service_name": "payment-api",
      "cpu_limit": "2",
      "memory_per_worker_mib": "150",
      "memory_limit_mib": "1024",
      "workload": "io",
      "events": "log",
      "auth": "none",
      "replicas_min": "1",
      "replicas_max": "1",
      "database_max_connections": "100",
      "request_timeout_seconds": "15",
      "drain_seconds": "10",
      "keepalive_seconds": "5",
      "deploy": [
        "compose"
      ],
      "python_version": "3.13",
      "base_image": "distroless",
      "ci": "github",
      "tracing": false
    },
    "minimal postgresql": {
      "service_name": "payment-api",
      "cpu_limit": "2",
      "memory_per_worker_mib": "150",
      "memory_limit_mib": "1024",
      "workload": "io",
      "events": "log",
      "auth": "none",
      "replicas_min": "3",
      "replicas_max": "6",
      "database_max_connections": "100",
      "request_timeout_seconds": "15",
      "drain_seconds": "10",
      "keepalive_seconds": "5",
      "deploy": [
        "compose",
        "kubernetes"
      ],
      "python_version": "3.13",
      "base_image": "distroless",
      "ci": "github",
      "tracing": false
    },
    "inference none": {
      "service_name": "payment-api",
      "cpu_limit": "2",
      "memory_per_worker_mib": "200",
      "memory_limit_mib": "1024",
      "workload": "cpu",
      "events": "log",
      "auth": "none",
      "replicas_min": "3",
      "replicas_max": "6",
      "database_max_connections": "100",
      "request_timeout_seconds": "15",
      "drain_seconds": "10",
      "keepalive_seconds": "5",
      "deploy": [
        "compose",
        "kubernetes"
      ],
      "python_version": "3.13",
      "base_image": "distroless",
      "ci": "github",
      "tracing": false
    },
    "inference sqlite": {
      "service_name": "payment-api",
      "cpu_limit": "2",
      "memory_per_worker_mib": "200",
      "memory_limit_mib": "1024",
      "workload": "cpu",
      "events": "log",
      "auth": "none",
      "replicas_min": "1",
      "replicas_max": "1",
      "database_max_connections": "100",
      "request_timeout_seconds": "15",
      "drain_seconds": "10",
      "keepalive_seconds": "5",
      "deploy": [
        "compose"
      ],
      "python_version": "3.13",
      "base_image": "distroless",
      "ci": "github",
      "tracing": false
    },
    "inference postgresql": {
      "service_name": "payment-api",
      "cpu_limit": "2",
      "memory_per_worker_mib": "200",
      "memory_limit_mib": "1024",
      "workload": "cpu",
      "events": "log",
      "auth": "none",
      "replicas_min": "3",
      "replicas_max": "6",
      "database_max_connections": "100",
      "request_timeout_seconds": "15",
      "drain_seconds": "10",
      "keepalive_seconds": "5",
      "deploy": [
        "compose",
        "kubernetes"
      ],
      "python_version": "3.13",
      "base_image": "distroless",
      "ci": "github",
      "tracing": false
    }
  },
  "constants": {
    "linger": 2,
    "close": 3,
    "graceMargin": 10,
    "graceHeadroom": 5,
    "probeTimeout": 4,
    "reserveShare": 4,
    "reservedConnections": 10,
    "surge": 1,
    "sqlitePool": 4
  }
}
