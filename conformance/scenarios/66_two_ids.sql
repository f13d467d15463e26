-- one statement that makes several tables: their ids come in any order (golden: SCENARIOS.md, run-to-run differences)
CREATE SCHEMA two CREATE TABLE e(id int primary key) CREATE TABLE f(id int primary key); INSERT INTO two.e VALUES (1); INSERT INTO two.f VALUES (2);
