//! Windows that WINDOW names. The planner looks for them in the columns of a SELECT alone, and takes a call over
//! one elsewhere for a call without OVER; a window that begins with another's name loses what that says.

use crate::statement::cursor::position;
use datafusion::sql::sqlparser::ast::{
    Expr, Function, Ident, NamedWindowDefinition, NamedWindowExpr, OrderBy, Query, Select,
    SelectItem, VisitMut, VisitorMut, WindowSpec, WindowType,
};
use skep_protocol::{ErrorCode, QueryError};
use std::ops::ControlFlow;

/// Writes out the windows of a SELECT, and of what orders its rows.
///
/// # Errors
/// `Semantic` for a name that no window has, and for a window that changes what another has already.
pub(super) fn write_out(
    select: &mut Select,
    order: Option<&mut OrderBy>,
) -> Result<(), QueryError> {
    let definitions = definitions(std::mem::take(&mut select.named_window))?;
    let mut windows = Windows {
        definitions: &definitions,
        depth: 0,
    };
    for item in &mut select.projection {
        windows.write_out_item(item)?;
    }
    windows.write_out(&mut select.qualify)?;
    windows.write_out(&mut select.distinct)?;
    order.map_or(Ok(()), |order| windows.write_out(order))
}

/// The windows by their names, each written out with those that were named before it.
fn definitions(named: Vec<NamedWindowDefinition>) -> Result<Vec<(Ident, WindowSpec)>, QueryError> {
    let mut known: Vec<(Ident, WindowSpec)> = Vec::with_capacity(named.len());
    for NamedWindowDefinition(name, window) in named {
        if find(&known, &name).is_some() {
            let text = format!("window '{}' is defined twice", name.value);
            return Err(wrong(text, &name));
        }
        let spec = match window {
            NamedWindowExpr::NamedWindow(other) => named_window(&known, &other)?.clone(),
            NamedWindowExpr::WindowSpec(spec) => written_out(spec, &known)?,
        };
        known.push((name, spec));
    }
    Ok(known)
}

fn find<'a>(known: &'a [(Ident, WindowSpec)], name: &Ident) -> Option<&'a WindowSpec> {
    let normalised = |ident: &Ident| match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    };
    let found = known
        .iter()
        .find(|(ident, _)| normalised(ident) == normalised(name));
    found.map(|(_, spec)| spec)
}

fn named_window<'a>(
    known: &'a [(Ident, WindowSpec)],
    name: &Ident,
) -> Result<&'a WindowSpec, QueryError> {
    find(known, name).ok_or_else(|| {
        let text = format!("window '{}' is not defined", name.value);
        wrong(text, name)
    })
}

/// A window with what the one has by whose name it begins.
fn written_out(
    mut spec: WindowSpec,
    known: &[(Ident, WindowSpec)],
) -> Result<WindowSpec, QueryError> {
    let Some(name) = spec.window_name.take() else {
        return Ok(spec);
    };
    let base = named_window(known, &name)?;
    let clash = if !spec.partition_by.is_empty() {
        Some("PARTITION BY")
    } else if !spec.order_by.is_empty() && !base.order_by.is_empty() {
        Some("another ORDER BY")
    } else if base.window_frame.is_some() {
        Some("anything more, since it has a frame")
    } else {
        None
    };
    if let Some(clash) = clash {
        let text = format!(
            "a window that begins with '{}' cannot have {clash}",
            name.value
        );
        return Err(wrong(text, &name));
    }
    spec.partition_by.clone_from(&base.partition_by);
    if spec.order_by.is_empty() {
        spec.order_by.clone_from(&base.order_by);
    }
    Ok(spec)
}

fn wrong(text: String, name: &Ident) -> QueryError {
    QueryError::new(ErrorCode::Semantic, text).at(position(name.span.start))
}

struct Windows<'a> {
    definitions: &'a [(Ident, WindowSpec)],
    /// How many subqueries the visitor is in, which have windows of their own.
    depth: usize,
}

impl Windows<'_> {
    fn write_out(&mut self, node: &mut impl VisitMut) -> Result<(), QueryError> {
        match node.visit(self) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(error) => Err(*error),
        }
    }

    /// As [`Self::write_out`], for a column, which keeps its name.
    fn write_out_item(&mut self, item: &mut SelectItem) -> Result<(), QueryError> {
        let written = match item {
            SelectItem::UnnamedExpr(expression) => Some(expression.to_string()),
            _ => None,
        };
        self.write_out(item)?;
        if let (SelectItem::UnnamedExpr(expression), Some(written)) = (&mut *item, written)
            && expression.to_string() != written
        {
            *item = SelectItem::ExprWithAlias {
                expr: expression.clone(),
                alias: Ident::with_quote('"', written),
            };
        }
        Ok(())
    }
}

impl VisitorMut for Windows<'_> {
    type Break = Box<QueryError>;

    fn pre_visit_query(&mut self, _query: &mut Query) -> ControlFlow<Self::Break> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<Self::Break> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<Self::Break> {
        let Expr::Function(Function {
            over: Some(over), ..
        }) = expression
        else {
            return ControlFlow::Continue(());
        };
        if self.depth > 0 {
            return ControlFlow::Continue(());
        }
        let found = match over {
            WindowType::NamedWindow(name) => named_window(self.definitions, name).cloned(),
            WindowType::WindowSpec(spec) => written_out(spec.clone(), self.definitions),
        };
        match found {
            Ok(spec) => *over = WindowType::WindowSpec(spec),
            Err(error) => return ControlFlow::Break(Box::new(error)),
        }
        ControlFlow::Continue(())
    }
}
