-- Without its event trigger a reader drops the policies of all readers.
-- class: roles
drop event trigger aegis_refuse_drop_owned;
