-- What is usual and what follows from the present state are kept beside each other: when the live
-- forecast of an opening is too old to be told, the usual one still is.
alter table wait_forecast drop constraint wait_forecast_pkey;
alter table wait_forecast add primary key (facility_id, opening_at, live);
