//! Fields of structs, found by their names in whatever case, as columns are.

use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::{Column, DFSchema, ScalarValue, TableReference};
use datafusion::error::Result;
use datafusion::functions::core::expr_fn::get_field;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawFieldAccessExpr};
use datafusion::logical_expr::{Expr, ExprSchemable, GetFieldAccess};

/// Plans access to fields; stands before the planners that want names letter by letter.
#[derive(Debug)]
pub(crate) struct FieldNames;

impl ExprPlanner for FieldNames {
    fn plan_compound_identifier(
        &self,
        field: &Field,
        qualifier: Option<&TableReference>,
        nested_names: &[String],
    ) -> Result<PlannerResult<Vec<Expr>>> {
        let mut data_type = field.data_type();
        let mut expression = Expr::Column(Column::from((qualifier, field)));
        for wanted in nested_names {
            let found = found(data_type, wanted);
            let name = found.map_or(wanted, |field| field.name());
            expression = get_field(expression, name.as_str());
            data_type = found.map_or(&DataType::Null, |field| field.data_type());
        }
        Ok(PlannerResult::Planned(expression))
    }

    fn plan_field_access(
        &self,
        access: RawFieldAccessExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawFieldAccessExpr>> {
        let GetFieldAccess::NamedStructField {
            name: ScalarValue::Utf8(Some(wanted)),
        } = &access.field_access
        else {
            return Ok(PlannerResult::Original(access));
        };
        let data_type = access.expr.get_type(schema)?;
        match found(&data_type, wanted) {
            Some(field) => {
                let name = field.name().as_str();
                Ok(PlannerResult::Planned(get_field(access.expr, name)))
            }
            None => Ok(PlannerResult::Original(access)),
        }
    }
}

/// The one field of a struct that is called so, letter by letter or else in another case.
fn found<'a>(data_type: &'a DataType, wanted: &str) -> Option<&'a Field> {
    let DataType::Struct(fields) = data_type else {
        return None;
    };
    if let Some(exact) = fields.iter().find(|field| field.name() == wanted) {
        return Some(exact);
    }
    let wanted = wanted.to_lowercase();
    let mut alike = fields
        .iter()
        .filter(|field| field.name().to_lowercase() == wanted);
    match (alike.next(), alike.next()) {
        (Some(only), None) => Some(only),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(fields: &[&str], wanted: &str) -> String {
        let fields = fields.iter();
        let fields = fields.map(|name| Field::new(*name, DataType::Int32, true));
        let of = Field::new("s", DataType::Struct(fields.collect()), true);
        let names = [wanted.to_owned()];
        let planned = FieldNames.plan_compound_identifier(&of, None, &names);
        match planned.unwrap() {
            PlannerResult::Planned(expression) => expression.to_string(),
            PlannerResult::Original(_) => panic!("{wanted} was not planned"),
        }
    }

    #[test]
    fn a_field_is_found_in_another_case_where_there_is_one() {
        let name = |fields: &[&str], wanted| planned(fields, wanted);
        assert!(name(&["Amount"], "amount").contains("\"Amount\""));
        assert!(name(&["Amount", "amount"], "amount").contains("\"amount\""));
        assert!(name(&["Amount", "AMOUNT"], "amount").contains("\"amount\""));
    }
}
