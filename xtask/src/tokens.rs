//! A file's code as a flat list of tokens: comments and string contents cannot be mistaken for code, and the
//! insides of macro calls are seen like everything else.

use proc_macro2::{Delimiter, Group, Spacing, TokenStream, TokenTree};

/// One token: a word, a literal, a lifetime with its quote, `::`, or a single character of punctuation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// As written.
    pub text: String,
    /// Its line, from 1.
    pub line: usize,
}

/// The tokens of a stream in order, delimiters included.
pub fn flatten(stream: TokenStream) -> Vec<Token> {
    let mut tokens = Vec::new();
    append(stream, &mut tokens);
    tokens
}

fn append(stream: TokenStream, out: &mut Vec<Token>) {
    // Whether the last token goes on in the next one: a quote or half a `::`.
    let mut open = false;
    for tree in stream {
        let line = tree.span().start().line;
        let joint = matches!(&tree, TokenTree::Punct(punct)
            if punct.spacing() == Spacing::Joint && !open && ":'".contains(punct.as_char()));
        match tree {
            TokenTree::Group(group) => append_group(&group, out),
            TokenTree::Punct(punct) if open && punct.as_char() != ':' => push(out, punct, line),
            other => match out.last_mut().filter(|_| open) {
                Some(last) => last.text.push_str(&other.to_string()),
                None => push(out, other, line),
            },
        }
        open = joint;
    }
}

fn push(out: &mut Vec<Token>, token: impl ToString, line: usize) {
    out.push(Token { text: token.to_string(), line });
}

fn append_group(group: &Group, out: &mut Vec<Token>) {
    let (open, close) = match group.delimiter() {
        Delimiter::Parenthesis => ("(", ")"),
        Delimiter::Brace => ("{", "}"),
        Delimiter::Bracket => ("[", "]"),
        Delimiter::None => return append(group.stream(), out),
    };
    push(out, open, group.span_open().start().line);
    append(group.stream(), out);
    push(out, close, group.span_close().start().line);
}

/// Whether a token is a word (identifier or keyword).
pub fn is_word(token: &Token) -> bool {
    token.text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_lifetimes_stay_together() {
        let stream: TokenStream = "fn f(x: ::a::B, y: &'static str) { std::mem::drop(x) }".parse().unwrap();
        let texts: Vec<String> = flatten(stream).into_iter().map(|token| token.text).collect();
        assert_eq!(
            texts.join(" "),
            "fn f ( x : :: a :: B , y : & 'static str ) { std :: mem :: drop ( x ) }",
            "lifetimes and path separators are single tokens"
        );
    }

    #[test]
    fn lines_are_counted_from_one() {
        let stream: TokenStream = "a\n(\nb\n)".parse().unwrap();
        let lines: Vec<usize> = flatten(stream).into_iter().map(|token| token.line).collect();
        assert_eq!(lines, [1, 2, 3, 4]);
    }
}
