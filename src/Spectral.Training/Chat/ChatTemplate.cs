using System.Text.Json;
using Spectral.Training.Chat.Nodes;
using Spectral.Training.Chat.Syntax;
using Spectral.Training.Chat.Values;
using Spectral.Training.IO;

namespace Spectral.Training.Chat;

/// <summary>
/// A chat template in Jinja's language, as transformers renders it: with its settings (trim_blocks, lstrip_blocks,
/// break and continue, generation blocks), its functions and its tojson. A template is code from a model's folder: it
/// sees only the variables it is given and cannot change them, and its steps, depth and output are bounded.
/// It is thread-safe.
/// </summary>
/// <example>
/// <code>
/// var template = ChatTemplate.Parse("{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}");
/// string text = template.Render("""{"messages": [{"role": "user", "content": "Hello"}]}""").Text;
/// </code>
/// </example>
public sealed class ChatTemplate
{
    private readonly Statement[] _body;

    private ChatTemplate(string name, Statement[] body)
    {
        Name = name;
        _body = body;
    }

    /// <summary>The name of the template in messages, such as its file.</summary>
    public string Name { get; }

    /// <summary>Parses a template from its source.</summary>
    /// <param name="source">The template.</param>
    /// <param name="name">The name of the template in messages, such as its file.</param>
    /// <exception cref="ChatTemplateException">It does not parse; the message has line and column.</exception>
    public static ChatTemplate Parse(string source, string name = "chat template")
    {
        try
        {
            return new ChatTemplate(name, StatementParser.Parse(source));
        }
        catch (SyntaxError e)
        {
            throw new ChatTemplateException(name, e.Place.Line, e.Place.Column, e.Message, e);
        }
        catch (TemplateError e)
        {
            throw new ChatTemplateException(name, 1, 1, e.Message, e);
        }
    }

    /// <summary>Renders the template with given variables.</summary>
    /// <param name="variables">
    /// A JSON object whose properties are the variables, such as messages, tools and add_generation_prompt.
    /// </param>
    /// <param name="now">The local time that the template is told; null: the present.</param>
    /// <exception cref="ChatTemplateException">
    /// The template fails or refuses the conversation; the message has line and column.
    /// </exception>
    /// <exception cref="InputException">The JSON is not valid, or not an object.</exception>
    public RenderedChat Render(string variables, DateTime? now = null)
    {
        using JsonDocument document = StrictJson.Parse(System.Text.Encoding.UTF8.GetBytes(variables), "variables");
        JsonElement root = new JsonFields(document.RootElement, "variables").Element;
        return Render((Mapping)JsonValues.Read(root)!, now);
    }

    /// <inheritdoc cref="Render(string, DateTime?)"/>
    internal RenderedChat Render(Mapping variables, DateTime? now = null)
    {
        Rendering rendering = new(now ?? DateTime.Now);
        Scope data = new(null, rendering);
        foreach ((object? name, object? value) in variables.Entries)
            data.Set((string)name!, value);
        try
        {
            Statement.Execute(_body, data.Inner());
        }
        catch (TemplateError e)
        {
            string reason = e.Kind is "TemplateError" or "LimitError" ? e.Message : $"{e.Kind}: {e.Message}";
            throw new ChatTemplateException(Name, rendering.Place.Line, rendering.Place.Column, reason, e);
        }
        return new RenderedChat(rendering.Output.ToString(), rendering.Generated, rendering.HasUnplacedGeneration);
    }
}
