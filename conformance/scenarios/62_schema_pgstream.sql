-- rows of other tables in our schema (golden: BEHAVIOURS.md "Without the injector …", SCENARIOS.md 24)
CREATE TABLE pgstream.mine(id int primary key, v text); INSERT INTO pgstream.mine VALUES (1,'mine'); UPDATE pgstream.mine SET v='z'; DELETE FROM pgstream.mine;
CREATE TABLE theirs(id int primary key); INSERT INTO theirs VALUES (1);
