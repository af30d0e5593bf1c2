//! Which `->` begins a lambda, and which is the operator that looks into JSON. The parser takes every one
//! behind a name for a lambda; where it is none, the name is put into two pairs of parentheses.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Word};

/// Functions that take lambdas, besides those of the registry.
const OTHERS: &[&str] = &["array_first", "array_sort", "exists", "list_first"];

/// Marks the operators, and calls `exists(array, lambda)` what no subquery is called.
pub(super) fn mark(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let has_arrow = tokens.iter().any(|token| token.token == Token::Arrow);
    if !has_arrow {
        return tokens;
    }
    let operators: Vec<usize> = (1..tokens.len())
        .filter(|index| is_token(&tokens, *index, &Token::Arrow))
        .filter(|index| is_name(&tokens, index - 1) && !begins_lambda(&tokens, *index))
        .collect();
    let mut marked = Vec::with_capacity(tokens.len() + 4 * operators.len());
    let mut calls: Vec<usize> = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        let parenthesis = |token: Token, like: &TokenWithSpan| TokenWithSpan {
            token,
            span: like.span,
        };
        match operators.binary_search(&(index + 1)) {
            Ok(_) => {
                let opening = parenthesis(Token::LParen, token);
                let closing = parenthesis(Token::RParen, token);
                marked.extend([
                    opening.clone(),
                    opening,
                    token.clone(),
                    closing.clone(),
                    closing,
                ]);
            }
            Err(_) => marked.push(token.clone()),
        }
        if token.token == Token::Arrow
            && begins_lambda(&tokens, index)
            && let Some(name) = called(&tokens, index)
            && is_word(&tokens, name, "exists")
        {
            calls.push(name);
        }
    }
    // Those before which a parenthesis was put have moved.
    let mut seen = 0;
    for token in &mut marked {
        let is_exists = matches!(&token.token, Token::Word(word)
            if word.value.eq_ignore_ascii_case("exists") && word.quote_style.is_none());
        if !is_exists {
            continue;
        }
        let place = tokens
            .iter()
            .enumerate()
            .filter(|(index, _)| is_word(&tokens, *index, "exists"))
            .nth(seen);
        seen += 1;
        if place.is_some_and(|(index, _)| calls.contains(&index)) {
            token.token = Token::Word(Word {
                value: "any_match".to_owned(),
                quote_style: None,
                keyword: Keyword::NoKeyword,
            });
        }
    }
    marked
}

fn is_token(tokens: &[TokenWithSpan], index: usize, wanted: &Token) -> bool {
    tokens
        .get(index)
        .is_some_and(|token| token.token == *wanted)
}

fn is_word(tokens: &[TokenWithSpan], index: usize, wanted: &str) -> bool {
    matches!(tokens.get(index).map(|token| &token.token), Some(Token::Word(word))
        if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(wanted))
}

/// Whether a name that stands alone ends at a token.
fn is_name(tokens: &[TokenWithSpan], index: usize) -> bool {
    let is_word = matches!(
        tokens.get(index).map(|token| &token.token),
        Some(Token::Word(_))
    );
    // Behind `::` it is a type.
    let is_part = index > 0
        && [Token::Period, Token::DoubleColon]
            .iter()
            .any(|before| is_token(tokens, index - 1, before));
    is_word && !is_part
}

/// Where the parenthesis is that a token lies in.
fn enclosing(tokens: &[TokenWithSpan], index: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for at in (0..index).rev() {
        match tokens.get(at).map(|token| &token.token) {
            Some(Token::RParen) => depth += 1,
            Some(Token::LParen) if depth == 0 => return Some(at),
            Some(Token::LParen) => depth -= 1,
            _ => {}
        }
    }
    None
}

/// Where the parameters of an arrow begin: a name, or names in parentheses.
fn parameters(tokens: &[TokenWithSpan], arrow: usize) -> Option<usize> {
    let last = arrow.checked_sub(1)?;
    match is_token(tokens, last, &Token::RParen) {
        true => enclosing(tokens, last),
        false => is_name(tokens, last).then_some(last),
    }
}

/// The name of the function among whose arguments an arrow's parameters stand.
fn called(tokens: &[TokenWithSpan], arrow: usize) -> Option<usize> {
    enclosing(tokens, parameters(tokens, arrow)?)?.checked_sub(1)
}

/// A lambda is an argument of a function that takes one, and never its first.
fn begins_lambda(tokens: &[TokenWithSpan], arrow: usize) -> bool {
    let follows_comma = parameters(tokens, arrow)
        .and_then(|start| start.checked_sub(1))
        .is_some_and(|before| is_token(tokens, before, &Token::Comma));
    let takes_lambda = called(tokens, arrow).is_some_and(|name| {
        let others = OTHERS.iter().any(|other| is_word(tokens, name, other));
        others || skep_functions::higher_order_names().any(|known| is_word(tokens, name, known))
    });
    follows_comma && takes_lambda
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::sql::sqlparser::dialect::GenericDialect;
    use datafusion::sql::sqlparser::tokenizer::Tokenizer;

    fn marked(sql: &str) -> String {
        let tokens = Tokenizer::new(&GenericDialect {}, sql)
            .tokenize_with_location()
            .unwrap();
        let tokens = tokens.into_iter();
        let tokens =
            tokens.filter(|token| !matches!(token.token, Token::Whitespace(_) | Token::EOF));
        let words = mark(tokens.collect())
            .into_iter()
            .map(|token| token.token.to_string());
        words.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn operators_are_told_from_lambdas() {
        for (sql, expected) in [
            ("j -> 'a'", "( ( j ) ) -> 'a'"),
            ("t.j -> 'a'", "t . j -> 'a'"),
            (
                "f(j -> 'a', k -> 'b')",
                "f ( ( ( j ) ) -> 'a' , ( ( k ) ) -> 'b' )",
            ),
            ("transform(x, y -> y)", "transform ( x , y -> y )"),
            (
                "reduce(x, 0, (a, b) -> a)",
                "reduce ( x , 0 , ( a , b ) -> a )",
            ),
            (
                "transform(j -> 'a', y -> y)",
                "transform ( ( ( j ) ) -> 'a' , y -> y )",
            ),
            ("exists(x, y -> y)", "any_match ( x , y -> y )"),
            (
                "EXISTS (SELECT j -> 'a')",
                "EXISTS ( SELECT ( ( j ) ) -> 'a' )",
            ),
        ] {
            assert_eq!(marked(sql), expected, "{sql}");
        }
    }
}
