-- one DROP that names tables or schemas of several schemas (golden: SCHEMA.md "What triggers a log entry", scenario 48)
CREATE SCHEMA da; CREATE SCHEMA db;
CREATE TABLE da.x(id int primary key); CREATE TABLE db.y(id int primary key); CREATE TABLE db.w(id int primary key); CREATE TABLE da.k(id int primary key);
INSERT INTO da.x VALUES (1); INSERT INTO db.w VALUES (1);
DROP TABLE da.x, db.y;
INSERT INTO da.k VALUES (1); INSERT INTO db.w VALUES (2);
CREATE TABLE db.v(id int primary key); INSERT INTO db.w VALUES (3);
DROP SCHEMA da, db CASCADE;
CREATE SCHEMA db; CREATE TABLE db.again(id int primary key); INSERT INTO db.again VALUES (1);
