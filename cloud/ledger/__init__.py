"""The daily ledger: does everything that a gateway made durable have a place?"""
