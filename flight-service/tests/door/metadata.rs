//! Metadata calls: what is promised is what comes, with the schemas of the specification.

use crate::fixture::{Client, Fixture, fetch};
use arrow::array::AsArray;
use arrow::datatypes::{DataType, Schema};
use arrow::record_batch::RecordBatch;
use arrow_flight::sql::{
    CommandGetCrossReference, CommandGetDbSchemas, CommandGetExportedKeys, CommandGetImportedKeys,
    CommandGetPrimaryKeys, CommandGetTables, CommandGetXdbcTypeInfo, SqlInfo, XdbcDataType,
};
use arrow_flight::{FlightInfo, IpcMessage};
use std::sync::Arc;

/// The one batch of an answer, whose schema must be the promised one; none where there are no rows.
async fn answer(client: &mut Client, info: FlightInfo) -> Option<RecordBatch> {
    let promised = info.clone().try_decode_schema().unwrap();
    let batches = fetch(client, &info).await.unwrap();
    for batch in &batches {
        assert_eq!(*batch.schema(), promised);
    }
    assert!(batches.len() <= 1);
    batches.into_iter().next()
}

fn texts(batch: &RecordBatch, column: usize) -> Vec<&str> {
    batch
        .column(column)
        .as_string::<i32>()
        .iter()
        .flatten()
        .collect()
}

#[tokio::test]
async fn catalogs_databases_and_table_types() {
    let fixture = Fixture::new().await;
    let mut client = fixture.client().await;
    let info = client.get_catalogs().await.unwrap();
    let batch = answer(&mut client, info).await.unwrap();
    assert_eq!(texts(&batch, 0), ["skep"]);
    let info = client
        .get_db_schemas(CommandGetDbSchemas::default())
        .await
        .unwrap();
    let batch = answer(&mut client, info).await.unwrap();
    assert_eq!(
        (texts(&batch, 0), texts(&batch, 1)),
        (vec!["skep"], vec!["sales"])
    );
    let info = client.get_table_types().await.unwrap();
    let batch = answer(&mut client, info).await.unwrap();
    assert_eq!(
        texts(&batch, 0),
        ["LOCAL TEMPORARY", "SYSTEM TABLE", "TABLE", "VIEW"]
    );
}

#[tokio::test]
async fn tables_with_and_without_their_schema() {
    let fixture = Fixture::new().await;
    let mut client = fixture.client().await;
    let info = client
        .get_tables(CommandGetTables::default())
        .await
        .unwrap();
    let batch = answer(&mut client, info).await.unwrap();
    assert_eq!(batch.num_columns(), 4);
    assert_eq!(texts(&batch, 2), ["big_orders", "orders"]);
    let info = client
        .get_tables(CommandGetTables {
            table_name_filter_pattern: Some("ord%".into()),
            table_types: vec!["BASE TABLE".into()],
            include_schema: true,
            ..CommandGetTables::default()
        })
        .await
        .unwrap();
    let batch = answer(&mut client, info).await.unwrap();
    assert_eq!(texts(&batch, 2), ["orders"]);
    let bytes = batch.column(4).as_binary::<i32>().value(0).to_vec();
    let schema = Schema::try_from(IpcMessage(bytes.into())).unwrap();
    assert!(!schema.field(0).is_nullable());
    assert_eq!(*schema.field(1).data_type(), DataType::Utf8);
    let metadata = schema.field(0).metadata();
    assert_eq!(metadata["ARROW:FLIGHT:SQL:TYPE_NAME"], "BIGINT");
    assert_eq!(metadata["ARROW:FLIGHT:SQL:PRECISION"], "19");
    assert_eq!(metadata["ARROW:FLIGHT:SQL:TABLE_NAME"], "orders");
}

#[tokio::test]
async fn server_info_and_types() {
    let fixture = Fixture::new().await;
    let mut client = fixture.client().await;
    let info = client.get_sql_info(vec![]).await.unwrap();
    let all = answer(&mut client, info).await.unwrap();
    assert!(all.num_rows() > 60);
    let info = client
        .get_sql_info(vec![SqlInfo::FlightSqlServerName])
        .await
        .unwrap();
    let one = answer(&mut client, info).await.unwrap();
    let value = one.column(1).as_union().value(0);
    assert_eq!(value.as_string::<i32>().value(0), "Skep");
    let info = client
        .get_xdbc_type_info(CommandGetXdbcTypeInfo {
            data_type: Some(XdbcDataType::XdbcDecimal as i32),
        })
        .await
        .unwrap();
    let batch = answer(&mut client, info).await.unwrap();
    assert_eq!(texts(&batch, 0), ["DECIMAL"]);
}

#[tokio::test]
async fn key_sets_are_empty() {
    let fixture = Fixture::new().await;
    let mut client = fixture.client().await;
    let infos = [
        client
            .get_primary_keys(CommandGetPrimaryKeys::default())
            .await,
        client
            .get_imported_keys(CommandGetImportedKeys::default())
            .await,
        client
            .get_exported_keys(CommandGetExportedKeys::default())
            .await,
        client
            .get_cross_reference(CommandGetCrossReference::default())
            .await,
    ];
    for info in infos {
        let info = info.unwrap();
        let schema = Arc::new(info.clone().try_decode_schema().unwrap());
        assert!(schema.fields().len() >= 6);
        assert!(answer(&mut client, info).await.is_none());
    }
}
