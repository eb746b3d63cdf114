-- The role with which Grafana reads: no keys, no settings of gateways, no payloads, and nothing it
-- could hold up for long. Run as a superuser (it makes a role), again after a migration that brings
-- tables the dashboards read; it may be run any number of times:
--     sudo -u postgres psql DATABASE -v password=SECRET -f reader.sql
select 'create role eclor_grafana login' where not exists
    (select from pg_roles where rolname = 'eclor_grafana') \gexec
alter role eclor_grafana with password :'password';
alter role eclor_grafana set default_transaction_read_only = on;
alter role eclor_grafana set statement_timeout = '30s';
grant usage on schema public to eclor_grafana;
grant select on
    territory, site, facility, lighting_group, lighting_group_member, eclor_database,
    schema_migration, batch_ledger, stream, quarantine_refused, rollup_dirty, rollup_fault,
    wait_estimate, latest_light, latest_health, light_hour, light_day, feeder_hour, passage_hour, passage_day,
    outcome_record, gap_record
to eclor_grafana;
grant select (gateway_id, site_id, name) on gateway to eclor_grafana;
grant select (device_id, gateway_id, name, kind, title) on device to eclor_grafana;
grant select (plan_id, gateway_id, issued_at, valid_from, valid_until) on lighting_plan
to eclor_grafana;
grant select (quarantine_id, gateway_name, reason, received_at, repeats) on quarantine
to eclor_grafana;
