# SQL that wants what it may not have, one text a line. `## kind, kind: what` begins a group; each of its texts ends in one of
# the kinds: not_select, table, function, time, memory, complex, error, bounded (an answer that is cut) or answered (harmless).
# {3*x@} is x1x2x3, and ^ the number before; ⟨3*x⟩ is the same within it; \n, \r, \t, \0 and \u{…} are signs.

## not_select: writes
INSERT INTO alert_acks (alert_id, operator, acked_ts) VALUES (1, 'x', 1)
INSERT INTO alerts_log SELECT * FROM alerts_log
INSERT OR REPLACE INTO alert_holds VALUES ('B-01', '', 'shelved', 'x', 'x', 0, 1)
REPLACE INTO alert_holds VALUES ('B-01', '', 'shelved', 'x', 'x', 0, 1)
UPDATE readings_wide SET hlt_pct = 50
DELETE FROM readings_wide
DELETE FROM alerts_log WHERE id IN (SELECT id FROM alerts_log) RETURNING *
UPDATE alerts_log SET resolved = 1 RETURNING id, message
INSERT INTO alert_acks VALUES (1, 'x', 'x', 1) ON CONFLICT DO NOTHING RETURNING operator
TRUNCATE TABLE readings_wide
MERGE INTO alert_acks USING alerts_log ON alert_id = id WHEN MATCHED THEN DELETE

## not_select, error: writes that hide
WITH x AS (SELECT 1) DELETE FROM readings_wide
WITH x AS (SELECT 1) INSERT INTO alert_acks SELECT 1, 'x', 'x', 1
WITH x AS (SELECT 1) UPDATE readings_wide SET hlt_pct = 0
WITH gone AS (DELETE FROM readings_wide RETURNING *) SELECT * FROM gone
WITH new AS (INSERT INTO alert_acks VALUES (1, 'x', 'x', 1) RETURNING *) SELECT * FROM new
WITH new AS (UPDATE alerts_log SET resolved = 1 RETURNING *) SELECT count(*) FROM new
SELECT * FROM (DELETE FROM readings_wide RETURNING *)
SELECT * INTO copy_of_it FROM readings_wide
SELECT ts INTO TEMP copy_of_it FROM readings_wide
SELECT * FROM readings_wide FOR UPDATE
SELECT * FROM readings_wide FOR SHARE
(DELETE FROM readings_wide)
EXPLAIN DELETE FROM readings_wide

## not_select, error: the schema
CREATE TABLE x (a)
CREATE TEMP TABLE x AS SELECT * FROM readings_wide
CREATE TABLE x AS SELECT * FROM notifications
CREATE VIEW x AS SELECT payload FROM notifications
CREATE TEMP VIEW daily_summary AS SELECT payload FROM notifications
CREATE TRIGGER t AFTER INSERT ON readings_wide BEGIN DELETE FROM alerts_log; END
CREATE INDEX i ON readings_wide (hlt_pct)
CREATE VIRTUAL TABLE v USING fts5(x)
CREATE VIRTUAL TABLE temp.v USING dbstat
DROP TABLE readings_wide
DROP VIEW kpi_daily
ALTER TABLE readings_wide ADD COLUMN x
ALTER TABLE notifications RENAME TO daily_summary_2
ANALYZE
REINDEX
VACUUM

## not_select, error: files and settings
VACUUM INTO 'stolen.db'
VACUUM main INTO 'stolen.db'
vacuum /* */ into 'stolen.db'
ATTACH 'stolen.db' AS s
ATTACH DATABASE ':memory:' AS s
ATTACH '' AS s
DETACH main
PRAGMA query_only = OFF
PRAGMA query_only
PRAGMA writable_schema = ON
PRAGMA journal_mode = DELETE
PRAGMA trusted_schema = ON
PRAGMA table_info(notifications)
PRAGMA database_list
PRAGMA wal_checkpoint(TRUNCATE)
PRAGMA temp_store_directory = '.'
PRAGMA user_version = 99
pragma/**/schema_version = 1
PRAGMA main.integrity_check

## not_select, error: transactions and others
BEGIN
BEGIN EXCLUSIVE
BEGIN IMMEDIATE TRANSACTION
COMMIT
END
ROLLBACK
SAVEPOINT s
RELEASE s
ROLLBACK TO s
EXPLAIN SELECT * FROM readings_wide
EXPLAIN QUERY PLAN SELECT * FROM notifications
EXPLAIN /* x */ SELECT payload FROM notifications
SHOW TABLES
DESCRIBE notifications
USE main
SET x = 1
KILL 1
GRANT ALL ON readings_wide TO x
CALL x()
DECLARE c CURSOR FOR SELECT 1

## not_select: more than one statement, and none
SELECT 1; SELECT 2
SELECT 1; DROP TABLE readings_wide
SELECT 1;; SELECT 2
SELECT 1; --\nDELETE FROM readings_wide
SELECT 1 /* ; */ ; DELETE FROM readings_wide
-- a comment\n; SELECT 1
SELECT 1; ATTACH 'stolen.db' AS s
SELECT 1\0; DELETE FROM readings_wide
SELECT payload FROM notifications\0
\0SELECT 1
;

;;
-- only a comment
/* only a comment */

## error, not_select, answered: comments that do not end as they seem to
SELECT 1 /* /* */ DELETE FROM readings_wide */
SELECT 1 /* open
SELECT 1 -- \r DELETE FROM readings_wide\n FROM notifications2 WHERE (
/* SELECT 1 */ DELETE FROM readings_wide
--\nDELETE FROM readings_wide
SELECT 1 */ FROM notifications

## error, complex, table, not_select: signs that two readers may read in two ways
SELECT $x$ , payload FROM notifications -- $x$
SELECT $$ FROM notifications $$
SELECT $tag$1$tag$
SELECT E'\\' , payload FROM notifications --'
SELECT N'x'
SELECT U&'\\0061'
SELECT X'00'
SELECT q'[x]'
SELECT ?
SELECT ?1, :a, @b, $c
SELECT @@version
SELECT 1 ^ 2
SELECT {x}
SELECT 'a' <=> 'b'
SELECT `open FROM notifications
SELECT "open FROM notifications
SELECT [open FROM notifications
SELECT 'open FROM notifications
SELECT 1 \u{1} 2
SELECT 1::text
SELECT # comment

## table: tables that are not for questions
SELECT * FROM notifications
SELECT payload FROM notifications
SELECT count(*) FROM notifications
SELECT 1 FROM notifications
SELECT count(*) FROM mqtt_outbox
SELECT payload FROM mqtt_outbox
SELECT * FROM ingest_files
SELECT raw FROM ingest_rejects
SELECT state FROM checkpoints
SELECT * FROM changes
SELECT epoch FROM central_sync
SELECT row FROM central_refused
SELECT answer FROM panel_requests
SELECT micros FROM reading_stamps
SELECT control FROM savings_baseline
SELECT * FROM no_such_table

## table: the same in other clothes
SELECT * FROM NOTIFICATIONS
SELECT * FROM "notifications"
SELECT * FROM [notifications]
SELECT * FROM `notifications`
SELECT * FROM 'notifications'
SELECT * FROM main.notifications
SELECT * FROM "main"."notifications"
SELECT * FROM main . notifications
SELECT * FROM temp.notifications
SELECT * FROM temp.daily_summary
SELECT * FROM other.daily_summary
SELECT * FROM a.b.notifications
SELECT/**/payload/**/FROM/**/notifications
SELECT payload FROM notifications--
SELECT payload\nFROM\n\tnotifications
SELECT n.payload FROM notifications AS n
SELECT notifications.payload FROM notifications
SELECT payload FROM ((notifications))
SELECT payload FROM (SELECT * FROM notifications)
SELECT (SELECT payload FROM notifications)
SELECT (SELECT payload FROM notifications LIMIT 1) FROM daily_summary
SELECT date FROM daily_summary WHERE EXISTS (SELECT 1 FROM notifications WHERE payload LIKE 's%')
SELECT date FROM daily_summary WHERE date IN (SELECT payload FROM notifications)
SELECT date FROM daily_summary WHERE date IN notifications
SELECT date FROM daily_summary WHERE (1, 'x') IN (SELECT id, payload FROM notifications)
SELECT date FROM daily_summary ORDER BY (SELECT payload FROM notifications)
SELECT date FROM daily_summary GROUP BY date HAVING (SELECT count(*) FROM notifications) > 0
SELECT date FROM daily_summary LIMIT (SELECT count(*) FROM notifications)
SELECT date FROM daily_summary LIMIT 1 OFFSET (SELECT unicode(payload) FROM notifications)
SELECT date FROM daily_summary UNION SELECT payload FROM notifications
SELECT date FROM daily_summary UNION ALL SELECT payload FROM mqtt_outbox
SELECT date FROM daily_summary EXCEPT SELECT payload FROM notifications
SELECT date FROM daily_summary JOIN notifications
SELECT date FROM daily_summary, notifications
SELECT date FROM daily_summary NATURAL JOIN notifications
SELECT date FROM daily_summary LEFT JOIN notifications ON 1
SELECT date FROM daily_summary d JOIN daily_summary e ON d.date = (SELECT payload FROM notifications)
WITH x AS (SELECT payload FROM notifications) SELECT * FROM x
WITH RECURSIVE x AS (SELECT payload FROM notifications UNION ALL SELECT payload FROM x) SELECT * FROM x
WITH x AS (SELECT 1), y AS (SELECT payload FROM notifications) SELECT * FROM x
SELECT count(*) FILTER (WHERE (SELECT payload FROM notifications) LIKE 's%') FROM daily_summary
SELECT group_concat(date ORDER BY (SELECT payload FROM notifications)) FROM daily_summary
SELECT sum(1) OVER (ORDER BY (SELECT payload FROM notifications)) FROM daily_summary
SELECT CASE WHEN (SELECT payload FROM notifications) LIKE 's%' THEN 1 END
SELECT * FROM daily_summary WHERE date BETWEEN (SELECT payload FROM notifications) AND 'z'
SELECT 1 FROM daily_summary WHERE 1 COLLATE nocase = (SELECT 1 FROM notifications)
VALUES ((SELECT payload FROM notifications))
SELECT * FROM (VALUES ((SELECT payload FROM notifications)))

## table, error: columns of tables
WITH x AS MATERIALIZED (SELECT payload FROM notifications) SELECT count(*) FROM x that are not read
SELECT notifications.payload FROM daily_summary
SELECT main.notifications.payload FROM daily_summary
SELECT payload FROM daily_summary
SELECT n.payload FROM daily_summary AS n
SELECT TABLE notifications
TABLE notifications
SELECT date FROM daily_summary INDEXED BY notifications_waiting
SELECT * FROM notifications_waiting
SELECT * FROM notifications INDEXED BY notifications_waiting
SELECT * FROM notifications NOT INDEXED
SELECT notifications FROM notifications

## table: the schema
SELECT * FROM sqlite_schema
SELECT sql FROM sqlite_master
SELECT sql FROM SQLITE_MASTER
SELECT sql FROM "sqlite_schema"
SELECT sql FROM [sqlite_schema]
SELECT sql FROM `sqlite_master`
SELECT sql FROM main.sqlite_schema
SELECT sql FROM temp.sqlite_schema
SELECT * FROM sqlite_temp_master
SELECT * FROM sqlite_temp_schema
SELECT * FROM sqlite_sequence
SELECT * FROM sqlite_stat1
SELECT count(*) FROM sqlite_stat4
SELECT count(*) FROM sqlite_schema
SELECT * FROM sqlite_dbpage
SELECT * FROM dbstat
SELECT count(*) FROM dbstat
SELECT * FROM sqlite_stmt
SELECT * FROM bytecode('SELECT 1')
SELECT * FROM completion
SELECT * FROM information_schema.tables
SELECT * FROM pg_catalog.pg_tables
SELECT * FROM pg_shadow

## table, error: tables that are functions
SELECT * FROM pragma_table_info('notifications')
SELECT * FROM pragma_table_xinfo('notifications')
SELECT name FROM pragma_table_list
SELECT name FROM pragma_table_list()
SELECT count(*) FROM pragma_database_list
SELECT * FROM pragma_database_list
SELECT * FROM main.pragma_database_list
SELECT * FROM pragma_index_list('notifications')
SELECT * FROM pragma_function_list
SELECT * FROM pragma_module_list
SELECT * FROM pragma_user_version
SELECT * FROM pragma_wal_checkpoint
SELECT * FROM "pragma_table_info"('notifications')
SELECT * FROM json_each('[1,2,3]')
SELECT * FROM json_tree('{"a":1}')
SELECT count(*) FROM json_each('[1,2]')
SELECT * FROM daily_summary, json_each(daily_summary.date)
SELECT * FROM generate_series(1, 1000000000)
SELECT * FROM generate_series(1, 10) AS g
SELECT * FROM fts5vocab
SELECT * FROM fts3tokenize('simple')
SELECT * FROM rtree
SELECT * FROM fsdir('.')
SELECT * FROM zipfile('a.zip')
SELECT * FROM csv('secret.csv')
SELECT * FROM carray(1, 1)
SELECT * FROM daily_summary('x')
SELECT * FROM kpi_daily(1)
SELECT * FROM unnest(array[1])
SELECT * FROM TABLE(x)
SELECT * FROM LATERAL (SELECT payload FROM notifications)
SELECT 1 WHERE 1 IN pragma_table_list
SELECT 1 WHERE 1 IN json_each('[1]')
SELECT 'x' IN (SELECT name FROM pragma_table_list)

## table: a name that stands for two things
WITH notifications AS (SELECT 1 AS payload) SELECT payload FROM notifications
WITH notifications AS (SELECT 1) SELECT count(*) FROM notifications
WITH notifications AS (SELECT 1) SELECT payload FROM main.notifications
WITH notifications AS (SELECT payload FROM notifications) SELECT * FROM notifications
WITH sqlite_schema AS (SELECT 1 AS sql) SELECT sql FROM sqlite_schema
WITH SQLITE_MASTER AS (SELECT 1) SELECT count(*) FROM sqlite_master
WITH dbstat AS (SELECT 1) SELECT count(*) FROM dbstat
WITH pragma_table_list AS (SELECT 1) SELECT count(*) FROM pragma_table_list
WITH json_each AS (SELECT 1) SELECT count(*) FROM json_each
SELECT (WITH notifications AS (SELECT 1) SELECT 1), count(*) FROM notifications
SELECT (WITH dbstat AS (SELECT 1) SELECT 1), count(*) FROM dbstat
SELECT (WITH pragma_database_list AS (SELECT 1) SELECT 1), count(*) FROM pragma_database_list
SELECT count(*), (WITH sqlite_sequence AS (SELECT 1) SELECT 1) FROM sqlite_sequence
WITH "notifications" AS (SELECT 1) SELECT count(*) FROM notifications
WITH [Notifications] (a) AS (SELECT 1) SELECT count(*) FROM NOTIFICATIONS
WITH x AS (SELECT 1) SELECT * FROM main.x
WITH x AS (SELECT 1) SELECT * FROM temp.x

## answered: names that look like others, and are nothing
SELECT 1 AS notifications
SELECT payload FROM (SELECT 'x' AS payload) AS notifications
SELECT notifications.date FROM daily_summary AS notifications LIMIT 1
SELECT count(*) FROM (SELECT 1) AS sqlite_schema
WITH daily_summary AS (SELECT 1 AS date) SELECT date FROM daily_summary
WITH x(a) AS (VALUES (1), (2)) SELECT sum(a) FROM x
SELECT 'SELECT payload FROM notifications; DROP TABLE x'
SELECT "no such column" FROM (SELECT 1 AS "no such column")
SELECT 1 -- ; DELETE FROM readings_wide
SELECT 1 /* ; DELETE FROM readings_wide */;
SELECT '/*' || '--' || ';'

## error, answered: a text in double quotes stays a text
SELECT "payload" FROM daily_summary LIMIT 1
SELECT "notifications"
SELECT typeof("notifications.payload")

## function: functions with effects, or that tell of the box
SELECT load_extension('x.so')
SELECT load_extension('x.so', 'entry')
SELECT LOAD_EXTENSION('x')
SELECT "load_extension"('x')
SELECT [load_extension]('x')
SELECT randomblob(1000000000)
SELECT hex(randomblob(16))
SELECT zeroblob(1000000000)
SELECT length(zeroblob(1000000000))
SELECT random()
SELECT sqlite_version()
SELECT sqlite_source_id()
SELECT sqlite_compileoption_get(1)
SELECT sqlite_compileoption_used('x')
SELECT sqlite_log(1, 'x')
SELECT changes(), total_changes()
SELECT last_insert_rowid()
SELECT fts3_tokenizer('simple')
SELECT fts3_tokenizer('x', 'y')
SELECT fts5('x')
SELECT fts5_source_id()
SELECT optimize(date) FROM daily_summary
SELECT snippet(date) FROM daily_summary
SELECT rtreecheck('notifications')
SELECT rtreenode(2, 'x')
SELECT json_group_array(date) FROM daily_summary
SELECT json_object('a', 1)
SELECT jsonb('[]')
SELECT json('[]')
SELECT soundex('x')
SELECT trim('x')
SELECT date FROM daily_summary WHERE load_extension('x') IS NULL
SELECT date FROM daily_summary ORDER BY load_extension('x')
SELECT max(load_extension('x')) FROM daily_summary
SELECT sum(1) OVER (PARTITION BY randomblob(10)) FROM daily_summary
SELECT date FROM daily_summary WHERE date MATCH 'x'
WITH x AS (SELECT load_extension('x') AS a) SELECT a FROM x
SELECT CASE 1 WHEN 1 THEN 2 ELSE load_extension('x') END
SELECT date FROM daily_summary GROUP BY zeroblob(9)
SELECT date FROM daily_summary LIMIT length(randomblob(4))

## function, error: functions that there are not
SELECT readfile('/etc/passwd')
SELECT writefile('stolen', 'x')
SELECT edit('x')
SELECT eval('SELECT 1')
SELECT pg_sleep(10)
SELECT pg_read_file('/etc/passwd')
SELECT lo_import('/etc/passwd')
SELECT sleep(10)
SELECT benchmark(1000000000, 1)
SELECT xp_cmdshell('id')
SELECT dblink('x')
SELECT sqlite_rename_table(1, 2, 3, 4, 5, 6, 7)
SELECT sqlite_drop_column(1, 2, 3)
SELECT date FROM daily_summary WHERE date REGEXP '(a+)+$'
SELECT sqlite_offset(date) FROM daily_summary
SELECT unistr('x')
SELECT sqlite_crypt('a', 'b')

## not_select, error, table, function: other dialects
COPY readings_wide TO '/tmp/stolen'
COPY (SELECT 1) TO PROGRAM 'id'
DO $$ BEGIN DELETE FROM readings_wide; END $$
LOAD DATA INFILE 'x' INTO TABLE readings_wide
SELECT * FROM readings_wide INTO OUTFILE 'stolen'
SELECT 1 INTO OUTFILE 'stolen'
LISTEN x
NOTIFY x
EXECUTE x
PREPARE x AS SELECT 1
LOCK TABLE readings_wide
INSTALL httpfs
FROM readings_wide SELECT *
FROM notifications
SELECT * FROM 's3://x/y'
SELECT * FROM read_csv('/etc/passwd')
SELECT TOP 1 * FROM notifications
SELECT * FROM readings_wide |> WHERE ts > 1
SELECT * FROM readings_wide AS OF SYSTEM TIME '-1s'
SELECT * FROM readings_wide FORMAT JSON
SELECT * FROM readings_wide SETTINGS x = 1
WITH RECURSIVE x AS (SELECT 1) SEARCH DEPTH FIRST BY a SET b SELECT * FROM x
SELECT CAST('x' AS notifications) FROM notifications
exec master..xp_cmdshell 'id'

## time, memory: recursion without end
WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s) SELECT count(*) FROM s
WITH RECURSIVE s(n) AS (SELECT 1 UNION SELECT n + 1 FROM s) SELECT count(*) FROM s
WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n FROM s) SELECT max(n) FROM s
WITH RECURSIVE s(n, x) AS (SELECT 1, 'x' UNION ALL SELECT n + 1, printf('%.*c', 9000, 'x') FROM s) SELECT count(*) FROM s ORDER BY 1
WITH RECURSIVE s(n, x) AS (SELECT 1, 'x' UNION SELECT n + 1, printf('%.*c', 9000, 'x') || n FROM s) SELECT count(*) FROM s
WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s UNION ALL SELECT n + 2 FROM s) SELECT count(*) FROM s
WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s ORDER BY 1 DESC) SELECT count(*) FROM s
WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s) SELECT n FROM s ORDER BY n DESC LIMIT 1
WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s) SELECT a.n FROM s a, s b WHERE a.n < 0
WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s) SELECT DISTINCT n FROM s WHERE n < 0
WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s) SELECT n, count(*) FROM s GROUP BY n
WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s) SELECT 1 FROM s LIMIT 1 OFFSET 100000000000
WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s) SELECT 1 WHERE 0 IN (SELECT n FROM s)
WITH RECURSIVE s(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM s LIMIT 1000000000) SELECT sum(n) FROM s
WITH RECURSIVE s(x) AS (SELECT 'xx' UNION ALL SELECT substr(x || x, 1, 40000) FROM s) SELECT count(*) FROM s

## bounded: recursion that answers
WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s) SELECT n FROM s
WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s) SELECT printf('%.*c', 90000, 'x') FROM s
SELECT printf('%.*c', 90000, 'x') FROM readings_wide
SELECT * FROM readings_wide
SELECT a.* FROM readings_wide a, readings_wide b, readings_wide c, readings_wide d
SELECT 1 FROM readings_wide, readings_wide, readings_wide, readings_wide, readings_wide, readings_wide
SELECT a.*, b.* FROM readings_wide a, readings_wide b
SELECT ts FROM readings_wide UNION ALL SELECT ts FROM readings_wide

## time, memory: products and sorts
SELECT count(*) FROM readings_wide a, readings_wide b, readings_wide c
SELECT count(*) FROM readings_wide, readings_wide, readings_wide, readings_wide, readings_wide, readings_wide
SELECT sum(a.total_kw * b.total_kw) FROM readings_wide a, readings_wide b, readings_wide c
SELECT * FROM readings_wide a, readings_wide b, readings_wide c WHERE a.ts + b.ts + c.ts < 0
SELECT a.ts FROM readings_wide a, readings_wide b, readings_wide c ORDER BY a.hlt_pct * b.hlt_pct + c.hlt_pct
SELECT a.*, b.ts FROM readings_wide a, readings_wide b ORDER BY a.hlt_pct + b.hlt_pct, printf('%.*c', 5000, 'x')
SELECT printf('%.*c', 90000, 'x') AS x FROM readings_wide a, readings_wide b ORDER BY a.ts + b.ts, x
SELECT DISTINCT a.ts + b.ts * 100000, printf('%.*c', 9000, 'x') FROM readings_wide a, readings_wide b ORDER BY 1
SELECT a.ts + b.ts AS s, count(*), max(printf('%.*c', 9000, 'x') || b.ts) FROM readings_wide a, readings_wide b, readings_wide c GROUP BY s
SELECT count(DISTINCT printf('%.*c', 9000, 'x') || a.ts || b.ts) FROM readings_wide a, readings_wide b
SELECT a.ts * b.ts FROM readings_wide a, readings_wide b, readings_wide c EXCEPT SELECT ts FROM readings_wide
SELECT a.ts FROM readings_wide a, readings_wide b, readings_wide c INTERSECT SELECT 0 - ts FROM readings_wide
SELECT count(*) FROM readings_wide a WHERE (SELECT count(*) FROM readings_wide b, readings_wide c WHERE b.hlt_pct > a.hlt_pct) > 1
SELECT max((SELECT sum(b.flow_diff * a.ts * c.ts) FROM readings_wide b, readings_wide c)) FROM readings_wide a
SELECT count(*) FROM kpi_daily a, kpi_daily b, kpi_daily c, kpi_daily d, kpi_daily e, kpi_daily f, kpi_daily g, kpi_daily h, kpi_daily i, readings_wide r, readings_wide s, readings_wide t
SELECT count(*) FROM readings_wide_plc a, readings_wide_plc b, readings_wide_plc c WHERE a."[PLC]HLT101.OUTPUT" < b."[PLC]HLT101.OUTPUT"

## time, memory: windows
SELECT max(s) FROM (SELECT sum(a.ts) OVER (ORDER BY a.hlt_pct ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS s FROM readings_wide a, readings_wide b, readings_wide c)
SELECT max(s) FROM (SELECT max(a.ts) OVER (ORDER BY a.ts ROWS BETWEEN 100000 PRECEDING AND 100000 FOLLOWING) AS s FROM readings_wide a, readings_wide b)
SELECT count(s) FROM (SELECT group_concat(a.ts) OVER (ORDER BY a.ts ROWS BETWEEN 3000 PRECEDING AND CURRENT ROW) AS s FROM readings_wide a, readings_wide b)
SELECT count(s) FROM (SELECT nth_value(a.ts, 5000) OVER (ORDER BY a.ts RANGE BETWEEN 1e9 PRECEDING AND 1e9 FOLLOWING) AS s FROM readings_wide a, readings_wide b)
SELECT count(s) FROM (SELECT ntile(100) OVER (PARTITION BY a.marker ORDER BY b.ts * a.ts) AS s FROM readings_wide a, readings_wide b)
SELECT count(s) FROM (SELECT lag(printf('%.*c', 9000, 'x') || a.ts, 100000) OVER (ORDER BY a.ts) AS s FROM readings_wide a, readings_wide b)

## time, memory, error, answered: texts that grow
SELECT group_concat(printf('%.*c', 9000, 'x')) FROM readings_wide
SELECT length(group_concat(timestamp)) FROM readings_wide
SELECT string_agg(printf('%.*c', 9000, 'x'), 'y') FROM readings_wide
SELECT group_concat(date, printf('%.*c', 90000, 'x')) FROM readings_wide
SELECT printf('%.*c', 1000000000, 'x')
SELECT format('%1000000000d', 1)
SELECT printf('%.1000000000f', 1.0)
SELECT printf('%.*c%.*c%.*c', 90000, 'x', 90000, 'x', 90000, 'x')
SELECT replace(printf('%.*c', 90000, 'x'), 'x', printf('%.*c', 90000, 'y'))
SELECT hex(hex(hex(printf('%.*c', 90000, 'x'))))
SELECT quote(quote(printf('%.*c', 90000, '''')))
SELECT concat(printf('%.*c', 90000, 'x'), printf('%.*c', 90000, 'x'))
WITH x AS (SELECT printf('%.*c', 60000, 'x') AS a) SELECT a || a FROM x
SELECT char({49*1114111,}1) || printf('%.*c', 99990, 'x')
SELECT strftime(printf('%.*c', 90000, '%') || 'Y', 'now')
SELECT strftime('%Y{2000*%c}%Y', 'now') || printf('%.*c', 99999, 'x')
WITH x AS (SELECT a.ts, b.ts AS t, printf('%.*c', 90000, 'x') AS a FROM readings_wide a, readings_wide b) SELECT length(group_concat(a || t)) FROM x

## time, memory: one call that takes long
WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s), b AS (SELECT printf('%.*c', 60000, 'x') AS x, printf('%.*c', 30000, 'x') || 'b' AS y) SELECT sum(instr(x || n, y)) FROM s, b
WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s), b AS (SELECT printf('%.*c', 60000, 'x') AS x, printf('%.*c', 30000, 'x') || 'b' AS y) SELECT sum(length(replace(x || n, y, 'z'))) FROM s, b
WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s), b AS (SELECT printf('%.*c', 60000, 'x') AS x, printf('%.*c', 30000, 'x') || 'b' AS y) SELECT sum({20*instr(x || n || @, y) + }0) FROM s, b
WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s), b AS (SELECT printf('%.*c', 90000, 'a') AS x) SELECT sum(x || n LIKE '{22*%a}%b') FROM s, b
WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s), b AS (SELECT printf('%.*c', 90000, 'a') AS x) SELECT sum(x || n LIKE '%{40*_}{40*a}b%') FROM s, b
WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s), b AS (SELECT printf('%.*c', 90000, 'a') AS x) SELECT sum(x || n GLOB '{12**[a-z]}*[^a]b') FROM s, b
WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s), b AS (SELECT '[' || substr(printf('%.*c', 45000, '1'), 1, 1) || replace(printf('%.*c', 40000, 'x'), 'x', ',1') || ']' AS x) SELECT sum(json_array_length(x) + n) FROM s, b
WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s), b AS (SELECT replace(printf('%.*c', 900, 'x'), 'x', '[') || replace(printf('%.*c', 900, 'x'), 'x', ']') AS x) SELECT sum(json_valid(x) + n) FROM s, b
WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s) SELECT max(strftime(replace(printf('%.*c', 3000, 'x'), 'x', '%f%s'), n)) FROM s
WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s) SELECT max(date('now', {40*'+@ years', }'weekday 3')) FROM s

## time, memory, complex: many at once
WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s LIMIT 1000000000), b AS (SELECT n, printf('%.*c', 9000, 'x') AS x FROM s) SELECT {190*count(DISTINCT x || n || @), }1 FROM b
WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s LIMIT 1000000000), b AS (SELECT n, printf('%.*c', 9, 'x') AS x FROM s) SELECT {190*max(x || n || @), }1 FROM b
WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s LIMIT 1000000000), b AS (SELECT n, printf('%.*c', 99000, 'x') AS x FROM s) SELECT {190*max(x || n || @), }1 FROM b
SELECT {190*count(DISTINCT a.ts * b.ts + @), }1 FROM readings_wide a, readings_wide b, readings_wide c
SELECT {8*max(a.ts + b.ts + @) OVER (ORDER BY a.ts + @), }1 FROM readings_wide a, readings_wide b
SELECT {30*(SELECT group_concat(x) FROM (SELECT DISTINCT a.ts || b.ts || '@' || printf('%.*c', 5000, 'x') AS x FROM readings_wide a, readings_wide b LIMIT 10000)), }1

## bounded, memory: wide answers
WITH x AS (SELECT printf('%.*c', 90000, 'x') AS a) SELECT {190*a || @, }1 FROM x
SELECT {190*printf('%.*c', 9@, 'x') || printf('%.*c', 90000, 'x'), }1
WITH x AS (SELECT printf('%.*c', 90000, 'x') AS a), y AS (SELECT {190*a || @ AS a@, }1 FROM x) SELECT {190*a@ || 'y', }1 FROM y

## complex: too much for one question
SELECT {19000*x}{19000*x}
SELECT {5000*1 + }1
SELECT 1 IN ({5000*@, }0)
SELECT {1000*(}1{1000*)}
SELECT {19000*(}1
{19000*(}SELECT 1
SELECT {100000*(}1{100000*)}
SELECT * FROM {500*(}readings_wide{500*)}
{800*SELECT * FROM (}SELECT 1{800*)}
{800*SELECT (}SELECT 1{800*)}
SELECT {3000*CASE WHEN 1 THEN }1{3000* END}
WITH a0 AS (SELECT 1 AS a){300*, a@ AS (SELECT a FROM a^)} SELECT a FROM a300
WITH a0 AS (SELECT ts AS a FROM readings_wide){24*, a@ AS (SELECT x.a FROM a^ x, a^ y)} SELECT 1 FROM a24
WITH a0 AS (SELECT ts AS a FROM readings_wide){24*, a@ AS (SELECT a FROM a^ UNION ALL SELECT a FROM a^)} SELECT 1 FROM a24
WITH {24*a@ AS (SELECT 1 FROM a^ x, a^ y), }a0 AS (SELECT 1) SELECT 1 FROM a24
WITH a0 AS (SELECT ts AS a FROM readings_wide){24*, a@ AS (SELECT a + a AS a FROM a^)} SELECT a FROM a24
WITH a0 AS (SELECT ts AS a FROM readings_wide){5*, a@ AS (SELECT coalesce(⟨45*a, ⟩a) AS a FROM a^)} SELECT a FROM a5
WITH a0 AS (SELECT ts AS a FROM readings_wide){8*, a@ AS (SELECT concat(⟨9*a, ⟩a) AS b, concat(⟨9*b, ⟩b) AS a FROM (SELECT a, a AS b FROM a^))} SELECT a, b FROM a8
WITH a0 AS (SELECT ts AS a FROM readings_wide){20*, a@ AS (SELECT (SELECT a + a) AS a FROM a^)} SELECT a FROM a20
WITH a0 AS (SELECT ts AS a FROM readings_wide){6*, a@ AS (SELECT a || a || a || a AS b FROM a^ WHERE b + b + b + b + b), b@ AS (SELECT b AS a FROM a@)} SELECT a FROM b6
{20*SELECT a + a AS a FROM (}SELECT ts AS a FROM readings_wide{20*)}
SELECT count(*) FROM kpi_daily{60*, kpi_daily k@}

## complex, error, answered, time: deep and long without parentheses
SELECT {1900*1 + }1
SELECT {1900*1 || }1
SELECT 1{900* COLLATE nocase}
SELECT 1{1900* IS NULL}
SELECT 1{1900* ISNULL}
SELECT {3900*NOT }1
SELECT {3000*- }1
SELECT {3000*~ }1
SELECT {3000*+ }1
SELECT 1{900* BETWEEN 0 AND 1}
SELECT {20*(}1{20* BETWEEN 0 AND 1)}
SELECT 1 WHERE {900*1 = 1 OR }1
SELECT 1 WHERE {900*1 = 1 AND }1
SELECT ts FROM readings_wide WHERE {400*ts = @ OR }0
SELECT ts FROM readings_wide WHERE {190*(ts = @ AND hlt_pct = @) OR }0 LIMIT 1
SELECT ts FROM readings_wide WHERE ts IN ({1900*@, }0)
SELECT ts FROM readings_wide WHERE ts NOT IN ({1900*@, }0) LIMIT 1
SELECT {900*CASE WHEN 1 THEN 1 END, }1
SELECT CASE {900*WHEN @ THEN @ }END
SELECT coalesce({900*NULL, }1)
SELECT {23*coalesce(}1{23*, 2)}
SELECT {12*(SELECT }1{12*)}
{12*SELECT * FROM (}SELECT 1{12*)}
SELECT * FROM readings_wide {63*JOIN readings_wide r@ USING (ts) }LIMIT 1
SELECT 1 FROM daily_summary{62* NATURAL JOIN daily_summary d@}
SELECT 1 FROM daily_summary{25* FULL JOIN daily_summary d@ USING (date)} WHERE date > '2'
SELECT date + date + date FROM daily_summary{25* NATURAL FULL JOIN daily_summary d@}
SELECT 1 FROM daily_summary{20* NATURAL JOIN daily_summary d@}
SELECT 1{45* UNION SELECT @}
SELECT 1{190* UNION ALL SELECT 1}
VALUES (1){1200*, (@)}
SELECT 1 LIKE '{2000*%a}'
SELECT 1 FROM daily_summary ORDER BY {250*@, }1
SELECT count(*) FROM daily_summary GROUP BY {250*date || @, }1
SELECT *, *, *, *, *, * FROM readings_wide
SELECT row_number() OVER w FROM daily_summary WINDOW w AS (ORDER BY date){200*, w@ AS (ORDER BY date)}
SELECT {20*(SELECT 1 WHERE EXISTS (}SELECT 1{20*))}
SELECT ((((((((((((((((((((((1))))))))))))))))))))))
SELECT * FROM ((((((((((((((((((((readings_wide)))))))))))))))))))) LIMIT 1
SELECT * FROM ((((((((((((((((((((SELECT 1))))))))))))))))))))
SELECT * FROM ((((((((((((((((((((readings_wide
SELECT * FROM ((((((((((((((((((((SELECT 1
((((((((((((((((((((SELECT 1))))))))))))))))))))
SELECT {20*f(}1{20*)}
SELECT {20*(1, }1{20*)}
SELECT {20*CASE WHEN (}1{20*) THEN 1 END}
SELECT {20*CAST(}1{20* AS INT)}
SELECT {20*EXISTS (SELECT }1{20*)}
SELECT {20*1 IN (SELECT }1{20*)}
SELECT {20*(1 IN (}1{20*))
SELECT {11*x IN ((}1{11*))}
SELECT INTERVAL {20*(}1{20*)}
SELECT {900*[}
SELECT x{900*[1]}
SELECT a{900*.a}
SELECT {900*a.}*

## error, function: wrong SQL that a model can learn from
SELECT {30*max(a.ts + b.ts + @) OVER (ORDER BY a.ts + @), }1 FROM readings_wide a, readings_wide b
SELECT no_such_column FROM daily_summary
SELECT no_such_function(1)
SELECT date FROM daily_summary WHERE
SELEC 1
SELECT * FROM daily_summary ORDER BY 99
SELECT date FROM daily_summary d JOIN pump_health h
SELECT sum(count(*)) FROM daily_summary
SELECT date FROM daily_summary WHERE sum(total_flow) > 1
SELECT abs(-9223372036854775808)
SELECT sum(9223372036854775807) FROM readings_wide
SELECT json_extract('{"a":', '$.a')
SELECT json_extract('{}', 'x')
SELECT (1, 2)
SELECT (SELECT 1, 2)
SELECT 1 UNION SELECT 1, 2
SELECT substr()
WITH x AS (SELECT 1) SELECT y.* FROM x
WITH x AS (SELECT * FROM y), y AS (SELECT * FROM x) SELECT * FROM x
SELECT date FROM daily_summary LIMIT 'x'
