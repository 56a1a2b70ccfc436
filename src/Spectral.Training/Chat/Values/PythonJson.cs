using System.Numerics;
using System.Text;

namespace Spectral.Training.Chat.Values;

/// <summary>Python's <c>json.dumps</c>, as the filter tojson of transformers calls it.</summary>
/// <param name="escapeAscii">Whether characters outside ASCII are escaped.</param>
/// <param name="indent">The text per level of indentation; null: everything in one line.</param>
/// <param name="itemSeparator">The text between items.</param>
/// <param name="keySeparator">The text between a key and its value.</param>
/// <param name="sortKeys">Whether keys are sorted.</param>
/// <param name="budget">The budget of the rendering.</param>
internal sealed class PythonJson(
    bool escapeAscii,
    string? indent,
    string itemSeparator,
    string keySeparator,
    bool sortKeys,
    Budget budget
)
{
    private readonly StringBuilder _builder = new();

    /// <summary>Returns the JSON text of a value.</summary>
    /// <exception cref="TemplateError">The value has none.</exception>
    public string Write(object? value)
    {
        Append(value, 0);
        budget.Text(_builder.Length);
        return _builder.ToString();
    }

    private void Append(object? value, int level)
    {
        budget.Step();
        if (_builder.Length > Budget.MaximumText)
            budget.Text(_builder.Length);
        switch (value)
        {
            case string text:
                AppendText(text);
                break;
            case Markup markup:
                AppendText(markup.Text);
                break;
            case null or bool or long or BigInteger or double:
                _builder.Append(Plain(value));
                break;
            case IReadOnlyList<object?> items and (List<object?> or object?[]):
                AppendItems(items, level);
                break;
            case Mapping mapping:
                AppendEntries(mapping, level);
                break;
            default:
                throw TemplateError.Type($"Object of type {PythonTypes.Name(value)} is not JSON serializable");
        }
    }

    private string Plain(object? value) =>
        value switch
        {
            null => "null",
            bool truth => truth ? "true" : "false",
            double.NaN => "NaN",
            double.PositiveInfinity => "Infinity",
            double.NegativeInfinity => "-Infinity",
            _ => PythonText.Repr(value, budget),
        };

    private void AppendItems(IReadOnlyList<object?> items, int level)
    {
        if (items.Count == 0)
        {
            _builder.Append("[]");
            return;
        }
        budget.Enter();
        _builder.Append('[');
        for (int i = 0; i < items.Count; i++)
        {
            Separate(i == 0, level + 1);
            Append(items[i], level + 1);
        }
        Close(level, ']');
    }

    private void AppendEntries(Mapping mapping, int level)
    {
        if (mapping.Count == 0)
        {
            _builder.Append("{}");
            return;
        }
        budget.Enter();
        _builder.Append('{');
        bool isFirst = true;
        IEnumerable<KeyValuePair<object?, object?>> entries = mapping.Entries;
        if (sortKeys)
            entries = PythonOrder.Sort(mapping.Entries, entry => entry.Key, false, budget);
        foreach ((object? key, object? value) in entries)
        {
            Separate(isFirst, level + 1);
            isFirst = false;
            AppendText(KeyText(key));
            _builder.Append(keySeparator);
            Append(value, level + 1);
        }
        Close(level, '}');
    }

    private string KeyText(object? key) =>
        key switch
        {
            string text => text,
            Markup markup => markup.Text,
            null or bool or long or BigInteger or double => Plain(key),
            _ => throw TemplateError.Type($"keys must be str, int, float, bool or None, not {PythonTypes.Name(key)}"),
        };

    private void Separate(bool isFirst, int level)
    {
        if (!isFirst)
            _builder.Append(itemSeparator);
        NewLine(level);
    }

    private void Close(int level, char bracket)
    {
        NewLine(level);
        _builder.Append(bracket);
        budget.Leave();
    }

    private void NewLine(int level)
    {
        if (indent is null)
            return;
        budget.Text(_builder.Length + (long)level * indent.Length);
        _builder.Append('\n');
        for (int i = 0; i < level; i++)
            _builder.Append(indent);
    }

    private void AppendText(string text)
    {
        _builder.Append('"');
        foreach (char c in text)
        {
            string? escaped = c switch
            {
                '"' => "\\\"",
                '\\' => "\\\\",
                '\n' => "\\n",
                '\r' => "\\r",
                '\t' => "\\t",
                '\f' => "\\f",
                '\b' => "\\b",
                < ' ' => $"\\u{(int)c:x4}",
                > '\x7e' when escapeAscii && c != '\x7f' => $"\\u{(int)c:x4}",
                _ => null,
            };
            if (escaped is null)
                _builder.Append(c);
            else
                _builder.Append(escaped);
        }
        _builder.Append('"');
    }
}
