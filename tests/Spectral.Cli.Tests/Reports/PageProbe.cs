namespace Spectral.Cli.Tests.Reports;

/// <summary>JavaScript expressions that measure a page.</summary>
public static class PageProbe
{
    /// <summary>
    /// Finds texts whose contrast with their background is below 4.5 : 1 (WCAG 2.2, 1.4.3), with the ratio.
    /// </summary>
    public const string Faint = """
        (() => {
          const numbers = colour => colour.match(/[\d.]+/g).map(Number);
          const light = colour => {
            const [r, g, b] = numbers(colour)
              .map(value => value / 255)
              .map(value => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
          };
          const ratio = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
          const behind = element => {
            for (let at = element; at; at = at.parentElement) {
              const colour = getComputedStyle(at).backgroundColor, parts = numbers(colour);
              if (parts.length < 4 || parts[3] === 1) return colour;
            }
            return 'rgb(255, 255, 255)';
          };
          const found = [];
          const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
          while (walk.nextNode()) {
            const element = walk.currentNode.parentElement;
            const text = walk.currentNode.data.trim();
            if (!text || !element.checkVisibility()) continue;
            if (['SCRIPT', 'STYLE', 'NOSCRIPT', 'style', 'OPTION'].includes(element.tagName)) continue;
            const style = getComputedStyle(element), colour = element instanceof SVGElement ? style.fill : style.color;
            const seen = ratio(colour, behind(element));
            if (!(seen >= 4.5))
              found.push(`${text.slice(0, 40)}: ${colour} on ${behind(element)}, ${seen.toFixed(2)}`);
          }
          return found;
        })()
        """;

    /// <summary>Finds coordinates that are not numbers, and marks outside their drawing.</summary>
    public const string Misplaced = """
        (() => {
          const found = [];
          for (const svg of document.querySelectorAll('.plot > svg')) {
            const frame = svg.getBoundingClientRect(), name = svg.closest('figure').id;
            for (const part of svg.querySelectorAll('*')) {
              for (const attribute of part.attributes)
                if (/NaN|undefined|Infinity/.test(attribute.value))
                  found.push(`${name}: ${part.tagName} ${attribute.name}="${attribute.value.slice(0, 80)}"`);
              if (!part.matches('path, circle, line, rect, text')) continue;
              const box = part.getBoundingClientRect();
              const across = box.left < frame.left - 8 || box.right > frame.right + 8;
              if (across || box.top < frame.top - 8 || box.bottom > frame.bottom + 8)
                found.push(`${name}: ${part.tagName} ${part.textContent} is outside`);
            }
          }
          return found;
        })()
        """;

    /// <summary>Returns by how many pixels the page is wider than its window.</summary>
    public const string Overflow = "document.documentElement.scrollWidth - window.innerWidth";

    /// <summary>Returns the number of points of each line of a chart, in the order in which they are drawn.</summary>
    public static string Lines(string chart) =>
        $"[...document.querySelectorAll('#{chart} .plot .curve path, #{chart} .plot "
        + "path.curve')].filter(path => !path.closest('.key')).map(path => "
        + "path.getAttribute('d').match(/[ML]/g).length)";

    /// <summary>Returns the number of dots of a chart.</summary>
    public static string Dots(string chart) =>
        $"[...document.querySelectorAll('#{chart} .plot circle')].filter(dot => !dot.closest('.key') && "
        + "!dot.matches('.ring')).length";

    /// <summary>Returns the texts of a table's column, from the top.</summary>
    public static string Column(string table, int column) =>
        $"[...document.querySelectorAll('{table} tbody tr')].map(row => row.cells[{column}].textContent)";

    /// <summary>Returns the text of a chart that screen readers read out.</summary>
    public static string Aloud(string chart) => $"document.querySelector('#{chart} .aloud').textContent";
}
