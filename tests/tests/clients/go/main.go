// The Go driver for Flight SQL: its client, and its driver for database/sql, which Grafana's plugin and
// many programs use.
package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/flight/flightsql"
	_ "github.com/apache/arrow-go/v18/arrow/flight/flightsql/driver"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

var address = os.Getenv("FLIGHT_ADDRESS")

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func same(expected, found any) {
	if fmt.Sprint(expected) != fmt.Sprint(found) {
		panic(fmt.Sprintf("expected %v instead of %v", expected, found))
	}
}

func client() (*flightsql.Client, context.Context) {
	dial := grpc.WithTransportCredentials(insecure.NewCredentials())
	client, err := flightsql.NewClient(address, nil, nil, dial)
	must(err)
	ctx, err := client.Client.AuthenticateBasicToken(context.Background(), "ada", "secret")
	must(err)
	return client, ctx
}

func rows(ctx context.Context, client *flightsql.Client, info *flight.FlightInfo) int64 {
	same(1, len(info.Endpoint))
	reader, err := client.DoGet(ctx, info.Endpoint[0].Ticket)
	must(err)
	defer reader.Release()
	schema, err := flight.DeserializeSchema(info.Schema, memory.DefaultAllocator)
	must(err)
	if !schema.Equal(reader.Schema()) {
		panic(fmt.Sprintf("%v instead of %v", reader.Schema(), schema))
	}
	var count int64
	for reader.Next() {
		count += reader.RecordBatch().NumRows()
	}
	must(reader.Err())
	return count
}

func oneRow() {
	client, ctx := client()
	defer client.Close()
	info, err := client.Execute(ctx, "SELECT 1 AS a")
	must(err)
	same(1, rows(ctx, client, info))
}

func everyType() {
	client, ctx := client()
	defer client.Close()
	info, err := client.Execute(ctx, "SELECT * FROM everything")
	must(err)
	same(3, rows(ctx, client, info))
}

func schemaWithoutRunning() {
	client, ctx := client()
	defer client.Close()
	result, err := client.GetExecuteSchema(ctx, "SELECT id, views FROM everything")
	must(err)
	schema, err := flight.DeserializeSchema(result.GetSchema(), memory.DefaultAllocator)
	must(err)
	same("int64", schema.Field(0).Type)
	same("utf8", schema.Field(1).Type)
}

func polling() {
	client, ctx := client()
	defer client.Close()
	text := "SELECT count(*) FROM numbers a, numbers b, numbers c, numbers d"
	poll, err := client.ExecutePoll(ctx, text, nil)
	must(err)
	last := -1.0
	for poll.GetFlightDescriptor() != nil {
		if poll.Progress != nil {
			if *poll.Progress < last || *poll.Progress > 1 {
				panic(fmt.Sprintf("progress %v after %v", *poll.Progress, last))
			}
			last = *poll.Progress
		}
		poll, err = client.ExecutePoll(ctx, text, poll.GetFlightDescriptor())
		must(err)
	}
	same(1, rows(ctx, client, poll.GetInfo()))
}

func sqlMetadata() {
	client, ctx := client()
	defer client.Close()
	info, err := client.GetSqlInfo(ctx, nil)
	must(err)
	if found := rows(ctx, client, info); found < 20 {
		panic(fmt.Sprint(found, " infos"))
	}
	info, err = client.GetXdbcTypeInfo(ctx, nil)
	must(err)
	if found := rows(ctx, client, info); found < 10 {
		panic(fmt.Sprint(found, " types"))
	}
	info, err = client.GetTableTypes(ctx)
	must(err)
	rows(ctx, client, info)
	info, err = client.GetPrimaryKeys(ctx, flightsql.TableRef{Table: "numbers"})
	must(err)
	same(0, rows(ctx, client, info))
	info, err = client.GetTables(ctx, &flightsql.GetTablesOpts{IncludeSchema: true, TableTypes: []string{"BASE TABLE"}})
	must(err)
	if found := rows(ctx, client, info); found < 2 {
		panic(fmt.Sprint(found, " tables"))
	}
}

func preparedStatements() {
	client, ctx := client()
	defer client.Close()
	prepared, err := client.Prepare(ctx, "SELECT id FROM everything WHERE text = ?")
	must(err)
	defer prepared.Close(ctx)
	same("utf8", prepared.ParameterSchema().Field(0).Type)
	builder := array.NewRecordBuilder(memory.DefaultAllocator, prepared.ParameterSchema())
	builder.Field(0).(*array.StringBuilder).Append("b")
	prepared.SetParameters(builder.NewRecordBatch())
	info, err := prepared.Execute(ctx)
	must(err)
	same(1, rows(ctx, client, info))
}

func sessions() {
	client, ctx := client()
	defer client.Close()
	set := &flight.SetSessionOptionsRequest{}
	options, err := flight.NewSessionOptionValues(map[string]any{
		"schema": "default", "skep.stage_tasks_max": int64(2), "no.such.setting": "x",
	})
	must(err)
	set.SessionOptions = options
	result, err := client.SetSessionOptions(ctx, set)
	must(err)
	same(1, len(result.Errors))
	found, err := client.GetSessionOptions(ctx, &flight.GetSessionOptionsRequest{})
	must(err)
	same("2", found.SessionOptions["skep.stage_tasks_max"].GetStringValue())
	_, err = client.CloseSession(ctx, &flight.CloseSessionRequest{})
	must(err)
	_, err = client.Execute(ctx, "SELECT 1")
	same(codes.Unauthenticated, status.Code(err))
}

func cancelAndRenew() {
	client, ctx := client()
	defer client.Close()
	text := "SELECT a.id FROM numbers a, numbers b, numbers c, numbers d, numbers e, numbers f"
	info, err := client.Execute(ctx, text)
	must(err)
	endpoint, err := client.RenewFlightEndpoint(ctx, &flight.RenewFlightEndpointRequest{Endpoint: info.Endpoint[0]})
	must(err)
	if !endpoint.ExpirationTime.AsTime().After(time.Now()) {
		panic("it has expired")
	}
	result, err := client.CancelFlightInfo(ctx, &flight.CancelFlightInfoRequest{Info: info})
	must(err)
	same(flight.CancelStatusCancelled, result.Status)
}

func typedErrors() {
	client, ctx := client()
	defer client.Close()
	for text, code := range map[string]codes.Code{
		"SELEC 1":                        codes.InvalidArgument,
		"SELECT * FROM nowhere":          codes.NotFound,
		"SELECT nothing FROM everything": codes.InvalidArgument,
		"CREATE TABLE odd (a INTEGRE)":   codes.Unimplemented,
		"CREATE DATABASE default":        codes.AlreadyExists,
	} {
		_, err := client.Execute(ctx, text)
		same(code, status.Code(err))
	}
	bad := metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer nonsense")
	_, err := client.Execute(bad, "SELECT 1")
	same(codes.Unauthenticated, status.Code(err))
}

func databaseSql() {
	db, err := sql.Open("flightsql", "flightsql://"+address+"?timeout=10s")
	must(err)
	defer db.Close()
	var id int64
	var text string
	must(db.QueryRow("SELECT id, text FROM everything WHERE id = ?", int64(1)).Scan(&id, &text))
	same("1 b", fmt.Sprint(id, " ", text))
	_, err = db.Exec("DROP DATABASE IF EXISTS by_go")
	must(err)
	_, err = db.Exec("CREATE DATABASE by_go")
	must(err)
	_, err = db.Exec("CREATE DATABASE by_go")
	if err == nil || !strings.Contains(err.Error(), "by_go") {
		panic(fmt.Sprint("no error: ", err))
	}
}

func main() {
	checks := []struct {
		name string
		run  func()
	}{
		{"one row", oneRow},
		{"every type", everyType},
		{"the schema without running", schemaWithoutRunning},
		{"polling", polling},
		{"metadata", sqlMetadata},
		{"prepared statements", preparedStatements},
		{"sessions", sessions},
		{"cancel and renew", cancelAndRenew},
		{"errors", typedErrors},
		{"database/sql", databaseSql},
		{"ADBC: queries", adbcQueries},
		{"ADBC: parameters", adbcParameters},
		{"ADBC: metadata", adbcMetadata},
		{"ADBC: the current schema", adbcCurrentSchema},
		{"ADBC: ingest", adbcIngest},
		{"ADBC: partitions", adbcPartitions},
		{"ADBC: the schema without running", adbcSchemaWithoutRunning},
		{"ADBC: cancelling", adbcCancelling},
		{"ADBC: errors", adbcErrors},
	}
	failed := false
	for _, check := range checks {
		func() {
			defer func() {
				if problem := recover(); problem != nil {
					failed = true
					fmt.Printf("FAILED  %s: %v\n", check.name, problem)
				}
			}()
			start := time.Now()
			check.run()
			fmt.Printf("ok      %s (%v)\n", check.name, time.Since(start).Round(time.Millisecond))
		}()
	}
	if failed {
		os.Exit(1)
	}
	_ = arrow.PrimitiveTypes
}
