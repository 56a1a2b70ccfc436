using System.Text;
using System.Text.Json;
using Spectral.Training.Chat.Values;
using Spectral.Training.IO;
using Spectral.Training.Tokenization;

namespace Spectral.Training.Chat;

/// <summary>
/// The chat templates of a model folder with its special tokens. They are, as in transformers, those of
/// <c>chat_template.jinja</c> and <c>additional_chat_templates/NAME.jinja</c>, or else the <c>chat_template</c> of
/// <c>tokenizer_config.json</c>, one or several with names, or else that of <c>chat_template.json</c>.
/// It is thread-safe.
/// </summary>
/// <example>
/// <code>
/// var format = ChatFormat.Load(modelPath);
/// string prompt = format.Render(Conversation.Of([("user", "Hello")]), addGenerationPrompt: true).Text;
/// </code>
/// </example>
public sealed class ChatFormat
{
    private const string Default = "default";
    private const string TemplateFile = "chat_template.jinja";
    private const string Additional = "additional_chat_templates";
    private const string ConfigFile = "tokenizer_config.json";
    private const string LegacyFile = "chat_template.json";
    private const int MaximumTemplates = 100;
    private const long MaximumBytes = 64 << 20;

    private readonly string _directory;
    private readonly Dictionary<string, Lazy<ChatTemplate>> _templates = [];
    private readonly Dictionary<string, string> _sources = [];
    private readonly Mapping _tokens = new();

    private ChatFormat(string directory)
    {
        _directory = directory;
        ReadFiles();
        if (_templates.Count == 0)
            ReadJson(ConfigFile);
        if (_templates.Count == 0)
            ReadJson(LegacyFile);
        var companions = TokenizerCompanions.Read(directory);
        foreach (string key in TokenizerCompanions.NamedKeys)
        {
            if (companions.Named(key) is { } token)
                _tokens[key] = token;
        }
    }

    /// <summary>The names of the templates; the usual one is named default.</summary>
    public IReadOnlyCollection<string> Names => _templates.Keys;

    /// <summary>Reads the templates of a model folder. Each is parsed when it is first used.</summary>
    /// <exception cref="InputException">There is none, or a file is not valid.</exception>
    public static ChatFormat Load(string directory)
    {
        FolderFile.RequireFolder(directory, $"model folder with {TemplateFile}");
        ChatFormat format = new(directory);
        return format._templates.Count > 0
            ? format
            : throw new InputException(
                $"{directory}: no chat template, expected {TemplateFile}, or chat_template in {ConfigFile}"
            );
    }

    /// <summary>Returns the text of a model folder's usual template, as its file has it; null: there is none.</summary>
    internal static string? DefaultSource(string directory) =>
        new ChatFormat(directory)._sources.GetValueOrDefault(Default);

    /// <summary>Renders a conversation as text.</summary>
    /// <param name="conversation">The conversation.</param>
    /// <param name="addGenerationPrompt">
    /// Whether the text ends where the model's answer begins; null: as the conversation's variable of that name says.
    /// </param>
    /// <param name="template">
    /// The template's name; null: tool_use if there is one and the conversation has tools, or else default.
    /// </param>
    /// <exception cref="InputException">
    /// There is no such template, it does not parse, it fails, or it refuses the conversation.
    /// </exception>
    public RenderedChat Render(Conversation conversation, bool? addGenerationPrompt = null, string? template = null)
    {
        RenderedChat chat = Render(conversation, conversation.Count, addGenerationPrompt, template);
        return conversation.IsContinued ? Open(chat, conversation) : chat;
    }

    /// <summary>Renders the first messages of a conversation.</summary>
    internal RenderedChat Render(
        Conversation conversation,
        int messages,
        bool? addGenerationPrompt,
        string? template = null
    )
    {
        // Variables that transformers always passes.
        Mapping variables = new(_tokens);
        variables["tools"] = null;
        variables["documents"] = null;
        variables["add_generation_prompt"] = false;
        foreach ((object? name, object? value) in conversation.Variables(messages).Entries)
            variables[name] = value;
        if (addGenerationPrompt is { } wanted)
            variables["add_generation_prompt"] = wanted;
        try
        {
            return Find(template, conversation.Variable("tools") is not null).Render(variables);
        }
        catch (ChatTemplateException e)
        {
            throw new InputException($"{conversation.Place}: {e.Message}", e);
        }
    }

    // Ends the text behind the last message, so that a model goes on with it.
    private static RenderedChat Open(RenderedChat chat, Conversation conversation)
    {
        string last =
            conversation.LastText()
            ?? throw new InputException(
                $"{conversation.Place}: continue_final_message with a last message that has no text, expected one"
            );
        int at = chat.Text.LastIndexOf(last.Trim(), StringComparison.Ordinal);
        if (at < 0)
        {
            throw new InputException(
                $"{conversation.Place}: continue_final_message, but the template does not print the last message as "
                    + "it is; expected one that does"
            );
        }
        string open = last.TrimStart();
        int end = chat.Text.AsSpan(at).StartsWith(open) ? at + open.Length : at + last.Trim().Length;
        return new RenderedChat(chat.Text[..end], [], false);
    }

    private ChatTemplate Find(string? name, bool hasTools)
    {
        name ??= hasTools && _templates.ContainsKey("tool_use") ? "tool_use" : Default;
        return _templates.TryGetValue(name, out Lazy<ChatTemplate>? template)
            ? template.Value
            : throw new InputException(
                $"{_directory}: no chat template named {InputText.Quote(name)}, expected one of "
                    + string.Join(", ", _templates.Keys)
            );
    }

    private void ReadFiles()
    {
        string path = FolderFile.At(_directory, TemplateFile);
        if (File.Exists(path))
            Add(Default, Text(path), path);
        string folder = FolderFile.At(_directory, Additional);
        if (!Directory.Exists(folder))
            return;
        foreach (string file in Directory.EnumerateFiles(folder, "*.jinja").Order(StringComparer.Ordinal))
        {
            string inside = FolderFile.At(folder, Path.GetFileName(file));
            Add(Path.GetFileNameWithoutExtension(file), Text(inside), inside);
        }
    }

    private void ReadJson(string name)
    {
        string path = FolderFile.At(_directory, name);
        if (!File.Exists(path))
            return;
        using JsonDocument document = StrictJson.ParseFile(path, MaximumBytes);
        JsonFields fields = new(document.RootElement, path);
        if (fields.Find("chat_template") is not { } value)
            return;
        switch (value.ValueKind)
        {
            case JsonValueKind.String:
                Add(Default, value.GetString()!, $"{path}, chat_template");
                break;
            case JsonValueKind.Array:
                foreach (JsonFields entry in fields.Objects("chat_template"))
                    AddNamed(entry.RequiredText("name"), entry.RequiredText("template"), path);
                break;
            case JsonValueKind.Object:
                foreach (JsonProperty entry in value.EnumerateObject())
                    AddNamed(entry.Name, fields.Object("chat_template")!.Value.RequiredText(entry.Name), path);
                break;
            default:
                throw fields.Wrong("chat_template", value, "a template, or a list of templates with names");
        }
    }

    private void AddNamed(string name, string source, string path) =>
        Add(name, source, $"{path}, chat_template {InputText.Quote(name)}");

    private void Add(string name, string source, string place)
    {
        if (_templates.Count >= MaximumTemplates)
            throw new InputException($"{place}: more than {MaximumTemplates} chat templates");
        _sources[name] = source;
        _templates[name] = new Lazy<ChatTemplate>(() => ChatTemplate.Parse(source, place));
    }

    private static string Text(string path)
    {
        try
        {
            return new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(
                StrictJson.ReadFile(path, MaximumBytes)
            );
        }
        catch (DecoderFallbackException e)
        {
            throw new InputException($"{path}: not UTF-8, expected a template in UTF-8", e);
        }
    }
}
