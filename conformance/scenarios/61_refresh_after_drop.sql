-- refresh_schema where older entries were purged (golden: SCHEMA.md "Functions": Version = count(*)+1)
CREATE SCHEMA ra; CREATE TABLE ra.t(id int primary key);
DROP SCHEMA ra CASCADE;
CREATE SCHEMA ra; CREATE TABLE ra.t(id int primary key);
SELECT pgstream.refresh_schema('ra');
INSERT INTO ra.t VALUES (1);
CREATE TABLE ra.u(id int primary key); INSERT INTO ra.t VALUES (2);
CREATE SCHEMA rb; CREATE TABLE rb.t(id int primary key);
DROP SCHEMA rb CASCADE;
SELECT pgstream.refresh_schema('rb');
CREATE SCHEMA rb;
