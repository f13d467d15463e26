-- tables without a primary key (golden: SCENARIOS.md 13, 14)
CREATE TABLE np(a int, b text); INSERT INTO np VALUES (1,'x'),(1,'x'); UPDATE np SET b='y' WHERE a=1; DELETE FROM np;
CREATE TABLE npu(a int NOT NULL UNIQUE, b text); INSERT INTO npu VALUES (1,'x'); UPDATE npu SET b='y'; DELETE FROM npu;
CREATE TABLE npf(a int, b text); ALTER TABLE npf REPLICA IDENTITY FULL; INSERT INTO npf VALUES (1,'x'),(2,NULL); UPDATE npf SET b='y' WHERE a=1; DELETE FROM npf;
CREATE TABLE gone(id int, v text, primary key(id)); INSERT INTO gone VALUES (1,'a');
ALTER TABLE gone DROP CONSTRAINT gone_pkey; INSERT INTO gone VALUES (2,'b'); UPDATE gone SET v='c' WHERE id=2;
ALTER TABLE gone ADD PRIMARY KEY (id); UPDATE gone SET v='d' WHERE id=2;
TRUNCATE np;
