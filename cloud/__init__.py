"""The cloud side: ingest, storage, rollups, lighting, waiting, provisioning, API and jobs."""
