-- Situation D: a card reader or weighbridge that tells how long each visitor was served.

alter table facility
    add column service_device_id int4 references device,
    add column service_point     text,
    add check ((service_device_id is null) = (service_point is null));
comment on column facility.service_point is '[s] Point of that device: one sample a visit, its value the seconds it was served';
