// The ADBC driver of Go, by its own interface. Python's is built from the same sources, but its types, its
// cancelling and its partitions are reached in another way.
package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/apache/arrow-adbc/go/adbc"
	driver "github.com/apache/arrow-adbc/go/adbc/driver/flightsql"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// withAdbc runs a check on a connection of its own.
func withAdbc(check func(context.Context, adbc.Connection)) {
	database, err := driver.NewDriver(memory.DefaultAllocator).NewDatabase(map[string]string{
		adbc.OptionKeyURI:      "grpc+tcp://" + address,
		adbc.OptionKeyUsername: "ada",
		adbc.OptionKeyPassword: "secret",
	})
	must(err)
	defer database.Close()
	ctx := context.Background()
	connection, err := database.Open(ctx)
	must(err)
	defer connection.Close()
	check(ctx, connection)
}

func adbcStatement(connection adbc.Connection, sql string) adbc.Statement {
	statement, err := connection.NewStatement()
	must(err)
	must(statement.SetSqlQuery(sql))
	return statement
}

// adbcCells has the rows of a statement, each as its cells' text.
func adbcCells(ctx context.Context, statement adbc.Statement) []string {
	reader, _, err := statement.ExecuteQuery(ctx)
	must(err)
	return cells(reader)
}

func cells(reader array.RecordReader) []string {
	defer reader.Release()
	var rows []string
	for reader.Next() {
		batch := reader.RecordBatch()
		for row := 0; row < int(batch.NumRows()); row++ {
			var parts []string
			for _, column := range batch.Columns() {
				parts = append(parts, column.ValueStr(row))
			}
			rows = append(rows, strings.Join(parts, "|"))
		}
	}
	must(reader.Err())
	return rows
}

func adbcRun(ctx context.Context, connection adbc.Connection, sql string) []string {
	statement := adbcStatement(connection, sql)
	defer statement.Close()
	return adbcCells(ctx, statement)
}

func adbcUpdate(ctx context.Context, connection adbc.Connection, sql string) int64 {
	statement := adbcStatement(connection, sql)
	defer statement.Close()
	rows, err := statement.ExecuteUpdate(ctx)
	must(err)
	return rows
}

func adbcCode(err error) adbc.Status {
	var found adbc.Error
	if !errors.As(err, &found) {
		panic(fmt.Sprint("no ADBC error: ", err))
	}
	return found.Code
}

func adbcQueries() {
	withAdbc(func(ctx context.Context, connection adbc.Connection) {
		same("[1|x]", adbcRun(ctx, connection, "SELECT 1 AS a, 'x' AS b"))
		same(3, len(adbcRun(ctx, connection, "SELECT * FROM everything")))
		adbcRun(ctx, connection, "DROP TABLE IF EXISTS adbc_go")
		adbcUpdate(ctx, connection, "CREATE TABLE adbc_go (a INT, b STRING)")
		same(2, adbcUpdate(ctx, connection, "INSERT INTO adbc_go VALUES (1, 'x'), (2, NULL)"))
		same("[1|x 2|(null)]", adbcRun(ctx, connection, "SELECT * FROM adbc_go ORDER BY a"))
	})
}

func adbcParameters() {
	withAdbc(func(ctx context.Context, connection adbc.Connection) {
		statement := adbcStatement(connection, "SELECT id, text FROM everything WHERE text = ? OR id = ? ORDER BY id")
		defer statement.Close()
		must(statement.Prepare(ctx))
		parameters, err := statement.GetParameterSchema()
		must(err)
		same("utf8 int64", fmt.Sprint(parameters.Field(0).Type, " ", parameters.Field(1).Type))
		builder := array.NewRecordBuilder(memory.DefaultAllocator, parameters)
		builder.Field(0).(*array.StringBuilder).AppendValues([]string{"a", "b"}, nil)
		builder.Field(1).(*array.Int64Builder).AppendValues([]int64{2, 0}, []bool{true, false})
		must(statement.Bind(ctx, builder.NewRecordBatch()))
		same("[0|a 2|(null) 1|b]", adbcCells(ctx, statement))
	})
}

func adbcMetadata() {
	withAdbc(func(ctx context.Context, connection adbc.Connection) {
		schema, err := connection.GetTableSchema(ctx, nil, nil, "everything")
		must(err)
		same("int64", schema.Field(0).Type)
		reader, err := connection.GetObjects(ctx, adbc.ObjectDepthAll, nil, nil, nil, nil, nil)
		must(err)
		if objects := fmt.Sprint(cells(reader)); !strings.Contains(objects, "everything") {
			panic(objects)
		}
		table := "numbers"
		reader, err = connection.GetObjects(ctx, adbc.ObjectDepthTables, nil, nil, &table, nil, []string{"TABLE"})
		must(err)
		if objects := fmt.Sprint(cells(reader)); strings.Contains(objects, "everything") || !strings.Contains(objects, "numbers") {
			panic(objects)
		}
		reader, err = connection.GetTableTypes(ctx)
		must(err)
		if types := fmt.Sprint(cells(reader)); !strings.Contains(types, "VIEW") {
			panic(types)
		}
		reader, err = connection.GetInfo(ctx, []adbc.InfoCode{adbc.InfoVendorName})
		must(err)
		if info := fmt.Sprint(cells(reader)); !strings.Contains(info, "Skep") {
			panic(info)
		}
	})
}

func adbcCurrentSchema() {
	withAdbc(func(ctx context.Context, connection adbc.Connection) {
		options := connection.(adbc.GetSetOptions)
		adbcRun(ctx, connection, "CREATE DATABASE IF NOT EXISTS adbc_go_db")
		must(options.SetOption(adbc.OptionKeyCurrentDbSchema, "adbc_go_db"))
		found, err := options.GetOption(adbc.OptionKeyCurrentDbSchema)
		must(err)
		same("adbc_go_db", found)
		same("[adbc_go_db]", adbcRun(ctx, connection, "SELECT current_database()"))
	})
}

func adbcIngest() {
	withAdbc(func(ctx context.Context, connection adbc.Connection) {
		schema := arrow.NewSchema([]arrow.Field{
			{Name: "id", Type: arrow.PrimitiveTypes.Int64},
			{Name: "at", Type: arrow.FixedWidthTypes.Timestamp_us, Nullable: true},
		}, nil)
		builder := array.NewRecordBuilder(memory.DefaultAllocator, schema)
		for row := 0; row < 1000; row++ {
			builder.Field(0).(*array.Int64Builder).Append(int64(row))
			builder.Field(1).(*array.TimestampBuilder).Append(arrow.Timestamp(row))
		}
		batch := builder.NewRecordBatch()
		for _, step := range []struct {
			mode string
			rows string
		}{
			{adbc.OptionValueIngestModeReplace, "[1000]"},
			{adbc.OptionValueIngestModeAppend, "[2000]"},
			{adbc.OptionValueIngestModeCreateAppend, "[3000]"},
			{adbc.OptionValueIngestModeReplace, "[1000]"},
		} {
			statement, err := connection.NewStatement()
			must(err)
			must(statement.SetOption(adbc.OptionKeyIngestTargetTable, "ingested_by_go"))
			must(statement.SetOption(adbc.OptionKeyIngestMode, step.mode))
			must(statement.Bind(ctx, batch))
			rows, err := statement.ExecuteUpdate(ctx)
			must(err)
			same(1000, rows)
			must(statement.Close())
			same(step.rows, adbcRun(ctx, connection, "SELECT count(*) FROM ingested_by_go"))
		}
		statement, err := connection.NewStatement()
		must(err)
		must(statement.SetOption(adbc.OptionKeyIngestTargetTable, "ingested_by_go"))
		must(statement.SetOption(adbc.OptionKeyIngestMode, adbc.OptionValueIngestModeCreate))
		must(statement.Bind(ctx, batch))
		_, err = statement.ExecuteUpdate(ctx)
		same(adbc.StatusAlreadyExists, adbcCode(err))
		must(statement.Close())
	})
}

func adbcPartitions() {
	withAdbc(func(ctx context.Context, connection adbc.Connection) {
		statement := adbcStatement(connection, "SELECT id FROM everything ORDER BY id")
		defer statement.Close()
		_, partitions, _, err := statement.ExecutePartitions(ctx)
		must(err)
		var found []string
		for _, id := range partitions.PartitionIDs {
			reader, err := connection.ReadPartition(ctx, id)
			must(err)
			found = append(found, cells(reader)...)
		}
		same("[0 1 2]", found)
	})
}

func adbcSchemaWithoutRunning() {
	withAdbc(func(ctx context.Context, connection adbc.Connection) {
		statement := adbcStatement(connection, "SELECT id, views FROM everything")
		defer statement.Close()
		schema, err := statement.(adbc.StatementExecuteSchema).ExecuteSchema(ctx)
		must(err)
		same("int64 utf8", fmt.Sprint(schema.Field(0).Type, " ", schema.Field(1).Type))
	})
}

func adbcCancelling() {
	withAdbc(func(ctx context.Context, connection adbc.Connection) {
		text := "SELECT sum(a.id * b.id + f.id) FROM numbers a, numbers b, numbers c, numbers d, numbers e, numbers f"
		statement := adbcStatement(connection, text)
		defer statement.Close()
		short, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
		defer cancel()
		reader, _, err := statement.ExecuteQuery(short)
		if err == nil {
			for reader.Next() {
			}
			err = reader.Err()
			reader.Release()
		}
		if err == nil {
			panic("it was not cancelled")
		}
		end := time.Now().Add(2 * time.Second)
		for {
			running := adbcRun(ctx, connection, "SHOW QUERIES")
			if !isRunning(running, text) {
				return
			}
			if time.Now().After(end) {
				panic(fmt.Sprint("it runs still: ", running))
			}
			time.Sleep(50 * time.Millisecond)
		}
	})
}

func isRunning(queries []string, text string) bool {
	for _, query := range queries {
		if strings.Contains(query, text) && strings.Contains(query, "RUNNING") {
			return true
		}
	}
	return false
}

func adbcErrors() {
	withAdbc(func(ctx context.Context, connection adbc.Connection) {
		for text, status := range map[string]adbc.Status{
			"SELEC 1":                      adbc.StatusInvalidArgument,
			"SELECT * FROM nowhere":        adbc.StatusNotFound,
			"CREATE TABLE odd (a INTEGRE)": adbc.StatusNotImplemented,
			"CREATE DATABASE default":      adbc.StatusAlreadyExists,
		} {
			statement := adbcStatement(connection, text)
			_, _, err := statement.ExecuteQuery(ctx)
			same(status, adbcCode(err))
			must(statement.Close())
		}
	})
}
