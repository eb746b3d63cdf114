-- Several flows behind one line.

alter table facility add column flows int2 not null default 1 check (flows between 1 and 10);
comment on column facility.flows is '[1] Kinds of cars that share the line, each with bays of its own';
