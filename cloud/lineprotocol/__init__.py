"""Influx line protocol in: what Telegraf, Home Assistant and their like write, as `sample` rows."""
