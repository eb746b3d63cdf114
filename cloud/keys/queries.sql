-- name: find
-- One row by primary key at every request; the territory by name, since names are what routes use.
select k.key_id, k.name, k.scopes, t.slug, k.created_at, k.expires_at, k.revoked_at, k.secret_sha256
from api_key k left join territory t using (territory_id)
where k.key_id = %s;

-- name: list_all
select k.key_id, k.name, k.scopes, t.slug, k.created_at, k.expires_at, k.revoked_at
from api_key k left join territory t using (territory_id)
order by k.created_at, k.key_id;

-- name: insert_key
-- No row where the territory is unknown.
insert into api_key (key_id, secret_sha256, name, scopes, territory_id, expires_at)
select %(key_id)s, %(secret_sha256)s, %(name)s, %(scopes)s::text[], t.territory_id, %(expires_at)s
from (select 1) one left join territory t on t.slug = %(territory)s
where %(territory)s::text is null or t.territory_id is not null
returning created_at;

-- name: revoke
-- Revoking twice keeps the first moment.
update api_key set revoked_at = coalesce(revoked_at, %(now)s) where key_id = %(key_id)s
returning name;
