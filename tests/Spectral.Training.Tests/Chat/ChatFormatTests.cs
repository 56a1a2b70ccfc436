using Spectral.Training.Chat;
using Spectral.Training.IO;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Chat;

public sealed class ChatFormatTests : FolderTest
{
    private const string Messages =
        """{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": " Ho"}]}""";

    private string Render(string conversation = Messages, bool? prompt = null, string? template = null)
    {
        var read = Conversation.Load(folder.Write("c.json", conversation));
        return ChatFormat.Load(folder.Path).Render(read, prompt, template).Text;
    }

    [Test]
    public void TheTemplateSeesSpecialTokensAndWhatTransformersPasses()
    {
        folder.Write(
            "chat_template.jinja",
            "{{ bos_token }}{{ tools is none }}{{ documents is none }}{{ add_generation_prompt }}{{ pad_token }}{{ x }}"
        );
        folder.Write(
            "tokenizer_config.json",
            """{"bos_token": "<s>", "pad_token": {"content": "<pad>"}, "chat_template": "other"}"""
        );
        Assert.That(Render(), Is.EqualTo("<s>TrueTrueFalse<pad>"));
        Assert.That(Render(prompt: true), Is.EqualTo("<s>TrueTrueTrue<pad>"));
        Assert.That(
            Render(Messages[..^1] + ", \"x\": 1, \"add_generation_prompt\": true}"),
            Is.EqualTo("<s>TrueTrueTrue<pad>1")
        );
    }

    [TestCase("""{"chat_template": "one"}""", null, "one")]
    [TestCase(
        """{"chat_template": [{"name": "default", "template": "a"}, {"name": "rag", "template": "b"}]}""",
        null,
        "a"
    )]
    [TestCase(
        """{"chat_template": [{"name": "default", "template": "a"}, {"name": "rag", "template": "b"}]}""",
        "rag",
        "b"
    )]
    public void TemplatesOfTheConfigAreFound(string config, string? name, string text)
    {
        folder.Write("chat_template.json", """{"chat_template": "legacy"}""");
        Assert.That(Render(), Is.EqualTo("legacy"));
        folder.Write("tokenizer_config.json", config);
        Assert.That(Render(template: name), Is.EqualTo(text));
    }

    [Test]
    public void ConversationsWithToolsUseTheirOwnTemplate()
    {
        Directory.CreateDirectory(folder.File("additional_chat_templates"));
        folder.Write("chat_template.jinja", "usual");
        folder.Write("additional_chat_templates/tool_use.jinja", "{{ tools | tojson }}");
        Assert.That(Render(), Is.EqualTo("usual"));
        Assert.That(Render(Messages[..^1] + ", \"tools\": [{\"a\": 1}]}"), Is.EqualTo("[{\"a\": 1}]"));
        Assert.That(
            () => Render(template: "other"),
            Throws.TypeOf<InputException>().With.Message.Contains("'other', expected one of default, tool_use")
        );
    }

    // As transformers' continue_final_message: the text ends with the last message, its trailing space kept if printed.
    [TestCase("<{{ messages[1].content }}|end>", "< Ho")]
    [TestCase("<{{ messages[1].content | trim }}|end>", "<Ho")]
    public void TheLastMessageCanBeLeftOpen(string template, string text)
    {
        folder.Write("chat_template.jinja", template);
        Assert.That(Render(Messages[..^1] + ", \"continue_final_message\": true}"), Is.EqualTo(text));
    }

    [TestCase("{{ raise_exception('only users') }}", "c.json: ", "chat_template.jinja, line 1, column 19: only users")]
    [TestCase("\n{% if %}", "chat_template.jinja, line 2, column 7: ", "Expected an expression")]
    [TestCase("{{ messages[0].other.more }}", "c.json: ", "'dict object' has no attribute 'other'")]
    public void WhatATemplateRefusesIsSaidWithFileAndPlace(string template, string where, string why)
    {
        folder.Write("chat_template.jinja", template);
        Assert.That(
            () => Render(),
            Throws.InstanceOf<InputException>().With.Message.Contains(where).And.Message.Contains(why)
        );
    }

    [Test]
    public void AFolderWithoutATemplateIsRefused() =>
        Assert.That(
            () => Render(),
            Throws.TypeOf<InputException>().With.Message.Contains("no chat template, expected chat_template.jinja")
        );
}
