//! A little of SVG: rectangles, lines and words.

use std::fmt::Display;

/// Where words are held.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// A picture that grows.
pub(super) struct Svg {
    body: String,
    width: f64,
    height: f64,
}

/// What XML gives a meaning to is escaped; what it forbids is a space.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

impl Svg {
    /// An empty picture with a title.
    pub(super) fn new(width: f64, height: f64, title: &str) -> Svg {
        let mut svg = Svg { body: String::new(), width, height };
        svg.rectangle((0.0, 0.0), (width, height), "white");
        svg.text((12.0, 22.0), Anchor::Start, 15, title);
        svg
    }

    fn add(&mut self, element: &dyn Display) {
        self.body += &format!("{element}\n");
    }

    /// A rectangle.
    pub(super) fn rectangle(&mut self, (x, y): (f64, f64), (width, height): (f64, f64), fill: &str) {
        self.add(&format_args!(
            r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" fill="{fill}"/>"#
        ));
    }

    /// A line through points.
    pub(super) fn line(&mut self, points: &[(f64, f64)], stroke: &str, style: Stroke) {
        let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let (points, width, dash) = (points.join(" "), style.width(), style.dash());
        self.add(&format_args!(
            r#"<polyline points="{points}" fill="none" stroke="{stroke}" stroke-width="{width}"{dash}/>"#
        ));
    }

    /// A dot.
    pub(super) fn dot(&mut self, (x, y): (f64, f64), fill: &str) {
        self.add(&format_args!(r#"<circle cx="{x:.1}" cy="{y:.1}" r="3" fill="{fill}"/>"#));
    }

    /// Words.
    pub(super) fn text(&mut self, (x, y): (f64, f64), anchor: Anchor, size: u32, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let text = escaped(text);
        let place = format_args!(r#"x="{x:.1}" y="{y:.1}" text-anchor="{anchor}""#);
        self.add(&format_args!(r##"<text {place} font-size="{size}" fill="#222">{text}</text>"##));
    }

    /// The file.
    pub(super) fn file(&self) -> String {
        let Svg { body, width, height } = self;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\">\n{body}</svg>\n"
        )
    }
}

/// How a line is drawn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stroke {
    Thin,
    Thick,
    Dashed,
}

impl Stroke {
    fn width(self) -> f64 {
        if self == Stroke::Thick { 2.0 } else { 1.0 }
    }

    fn dash(self) -> &'static str {
        if self == Stroke::Dashed { r#" stroke-dasharray="5 4""# } else { "" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_xml_gives_a_meaning_to_is_escaped() {
        assert_eq!(escaped("a<b & \"c\">\n"), "a&lt;b &amp; &quot;c&quot;&gt; ");
    }
}
