"""Grafana's dashboards as code: one module for each audience, its JSON made by `make generate`."""
