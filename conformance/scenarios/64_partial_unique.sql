-- a unique index with a WHERE on a table without a primary key (golden: SCHEMA.md "JSON of schema_log.schema")
CREATE TABLE pu(id int NOT NULL, k int NOT NULL, v text); CREATE UNIQUE INDEX pu_part ON pu(k) WHERE v IS NOT NULL;
ALTER TABLE pu ADD COLUMN w int; INSERT INTO pu VALUES (1,1,'a'); UPDATE pu SET v='b';
CREATE TABLE pu3(k int NOT NULL, id int NOT NULL UNIQUE, v text); CREATE UNIQUE INDEX pu3_part ON pu3(k) WHERE v IS NOT NULL;
ALTER TABLE pu3 ADD COLUMN w int; INSERT INTO pu3 VALUES (1,1,'a');
