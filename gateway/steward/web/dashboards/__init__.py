"""What is shipped for Prometheus and Grafana. Files, no code."""
