-- name: record
insert into audit_event (actor, action, object, before, after) values (%s, %s, %s, %s, %s);

-- name: page
-- Newest first; the cursor is the id of the last row seen.
select audit_id, at, actor, action, object, before, after
from audit_event
where audit_id < %(before_id)s and (%(object)s::text is null or object = %(object)s)
order by audit_id desc
limit %(limit)s;
