using System.Text.Json;
using Spectral.Training.Chat;

namespace Spectral.Training.Tests.Chat;

public sealed class ChatTemplateTests
{
    private static readonly DateTime Now = new(2026, 11, 28, 13, 5, 9);

    private static readonly JsonElement Cases = ReadCases();

    private static JsonElement ReadCases()
    {
        using Stream stream = typeof(ChatTemplateTests).Assembly.GetManifestResourceStream("jinja-cases.json")!;
        using var document = JsonDocument.Parse(stream);
        return document.RootElement.Clone();
    }

    // What Jinja2 3.1.6 renders or raises; jinja-cases.py beside the file asks it.
    [Test]
    public void EveryTemplateRendersAsJinjaRendersIt()
    {
        string data = Cases.GetProperty("data").GetRawText();
        List<string> wrong = [];
        int count = 0;
        foreach (JsonElement item in Cases.GetProperty("cases").EnumerateArray())
        {
            string template = item.GetProperty("template").GetString()!;
            string expected = Expected(item);
            string found = Outcome(template, data, item.TryGetProperty("message", out _));
            count++;
            if (found != expected)
                wrong.Add($"{template}\n  expected {expected}\n  found    {found}");
        }
        Assert.That(wrong, Is.Empty);
        Assert.That(count, Is.GreaterThan(800));
    }

    // What transformers' apply_chat_template marks with return_assistant_tokens_mask: the text of generation blocks.
    [Test]
    public void GenerationBlocksAreFoundInTheText()
    {
        var template = ChatTemplate.Parse(
            "{% for m in messages %}<{{ m.role }}>{% if m.role == 'assistant' %}{% generation %}{{ m.content }}!"
                + "{% endgeneration %}{% else %}{{ m.content }}{% endif %}{% endfor %}"
        );
        RenderedChat chat = template.Render(
            """
            {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho 🎉"},
                          {"role": "user", "content": "So"}, {"role": "assistant", "content": "No"}]}
            """
        );
        Assert.That(chat.Text, Is.EqualTo("<user>Hi<assistant>Ho 🎉!<user>So<assistant>No!"));
        Assert.That(
            chat.Generated.Select(range => chat.Text[range.Start..range.End]),
            Is.EqualTo(new[] { "Ho 🎉!", "No!" })
        );
    }

    [TestCase("a\n{% for x in y %}\n{{ x }", 3, 6, "'}'")]
    [TestCase("{{ 'a' }}\n  {% if x %}", 2, 13, "Unexpected end of template")]
    [TestCase("a\n  {% wrong %}", 2, 6, "unknown tag 'wrong'")]
    [TestCase("{{ x | wrong }}", 1, 8, "No filter named 'wrong'")]
    [TestCase("\n\n {# never", 3, 2, "Missing end of comment tag")]
    public void ATemplateThatDoesNotParseIsRefusedWithLineAndColumn(string source, int line, int column, string reason)
    {
        ChatTemplateException error = Assert.Throws<ChatTemplateException>(() =>
            ChatTemplate.Parse(source, "t.jinja")
        )!;
        Assert.That((error.Line, error.Column), Is.EqualTo((line, column)), error.Message);
        Assert.That(error.Message, Does.StartWith($"t.jinja, line {line}, column {column}: ").And.Contains(reason));
    }

    [TestCase("{{ a.b.c }}", 1, 5, "'a' is undefined")]
    [TestCase("x\n {{ 1 + none }}", 2, 7, "unsupported operand type(s) for +: 'int' and 'NoneType'")]
    [TestCase(
        "{% for m in l %}\n{% if m == 2 %}{{ raise_exception('no ' ~ m) }}{% endif %}{% endfor %}",
        2,
        34,
        "no 2"
    )]
    [TestCase("{{ [].append(1) }}", 1, 13, "access to attribute 'append' of 'list' object is unsafe.")]
    [TestCase("{{ ''.__class__.__mro__ }}", 1, 16, "access to attribute '__class__' of 'str' object is unsafe.")]
    public void ATemplateThatFailsSaysWhereAndWhy(string source, int line, int column, string reason)
    {
        var template = ChatTemplate.Parse(source);
        ChatTemplateException error = Assert.Throws<ChatTemplateException>(() => template.Render("""{"l": [1, 2]}"""))!;
        Assert.That((error.Line, error.Column), Is.EqualTo((line, column)), error.Message);
        Assert.That(error.Reason, Does.Contain(reason));
    }

    [TestCase("{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}", "steps")]
    [TestCase("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "nested too deeply")]
    [TestCase("{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}", "nested too deeply")]
    [TestCase("{{ 'x' * 1000000000 }}", "text of 1000000000 characters")]
    [TestCase("{{ [0] * 1000000000 }}", "list of 1000000000 items")]
    [TestCase("{{ 'x'.center(1000000000) }}", "text of")]
    [TestCase("{{ '%1000000000d' % 1 }}", "text of")]
    [TestCase("{{ 2 ** 1000000 }}", "bits")]
    [TestCase("{% set n = namespace(s='x') %}{% for i in range(99) %}{% set n.s = n.s ~ n.s %}{% endfor %}", "text of")]
    [TestCase(
        "{% set n = namespace(s=[]) %}{% for i in range(999) %}{% set n.s = [n.s] %}{% endfor %}{{ n.s }}",
        "deep"
    )]
    [TestCase(
        "{% set n = namespace(s=1) %}{% for i in range(60) %}{% set n.s = [n.s, n.s] %}{% endfor %}{{ n.s }}",
        "text"
    )]
    [TestCase(
        "{% set n = namespace(a=1, b=1) %}{% for i in range(60) %}{% set n.a = [n.a, n.a] %}{% set n.b = [n.b, n.b] %}"
            + "{% endfor %}{{ n.a == n.b }}",
        "steps"
    )]
    [TestCase("{{ ('x' * 4000000).replace('x', 'y' * 4000000) }}", "text of")]
    [TestCase("{% for i in range(100000) %}{{ 'x' * 1000 }}{% endfor %}", "output of more than")]
    public void ATemplateIsBounded(string source, string reason)
    {
        var template = ChatTemplate.Parse(source);
        Assert.That(() => template.Render("{}"), Throws.TypeOf<ChatTemplateException>().With.Message.Contains(reason));
    }

    [TestCase("(", ")")]
    [TestCase("[", "]")]
    [TestCase("not ", "")]
    [TestCase("- ", "")]
    [TestCase("a[", "]")]
    public void DeepCodeIsRefused(string open, string close)
    {
        string source = "{{ " + string.Concat(Enumerable.Repeat(open, 20_000)) + "1" + close;
        Assert.That(() => ChatTemplate.Parse(source), Throws.TypeOf<ChatTemplateException>());
    }

    [Test]
    public void LongChainsOfOperatorsAreRefused()
    {
        string chain = "{{ 1" + string.Concat(Enumerable.Repeat(" + 1", 200_000)) + " }}";
        Assert.That(
            () => ChatTemplate.Parse(chain).Render("{}"),
            Throws.TypeOf<ChatTemplateException>().With.Message.Contains("deep")
        );
    }

    [Test]
    public void UndefinedNamesPrintAsNothing() =>
        Assert.That(ChatTemplate.Parse("[{{ a }}{{ {}.b }}]").Render("{}").Text, Is.EqualTo("[]"));

    private static string Expected(JsonElement item)
    {
        if (item.TryGetProperty("expected", out JsonElement text))
            return "text " + text.GetString();
        string kind = item.GetProperty("error").GetString()!;
        return kind switch
        {
            "TemplateError" => "raises " + item.GetProperty("message").GetString(),
            "TemplateSyntaxError" => "does not parse at line " + item.GetProperty("line").GetInt32(),
            // Python itself compiles what Jinja makes of a template, and finds jumps outside of loops.
            "SyntaxError" => "does not parse at line 1",
            _ => "raises " + kind,
        };
    }

    private static string Outcome(string source, string data, bool withMessage)
    {
        ChatTemplate template;
        try
        {
            template = ChatTemplate.Parse(source);
        }
        catch (ChatTemplateException e)
        {
            return "does not parse at line " + e.Line;
        }
        try
        {
            return "text " + template.Render(data, Now).Text;
        }
        catch (ChatTemplateException e)
        {
            return "raises " + (withMessage ? e.Reason : e.Reason.Split(':')[0]);
        }
    }
}
