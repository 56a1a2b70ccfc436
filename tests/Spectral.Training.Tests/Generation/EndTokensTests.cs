using System.Text.Json.Nodes;
using Spectral.Training.Generation;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;
using Spectral.Training.Tokenization;

namespace Spectral.Training.Tests.Generation;

/// <summary>
/// Which end token counts, and that every difference is named. In these folders id 5 is "&lt;a&gt;", 6 "&lt;b&gt;".
/// </summary>
public sealed class EndTokensTests : FolderTest
{
    private EndTokens Of(
        string? own,
        string? generation,
        string? tokenizer,
        int? template = null,
        string type = "llama"
    )
    {
        JsonObject config = TinyModel.ConfigJson();
        config["model_type"] = type;
        config["num_key_value_heads"] = 1;
        config.Remove("eos_token_id");
        if (own is not null)
            config["eos_token_id"] = JsonNode.Parse(own);
        folder.Write("config.json", config.ToJsonString());
        if (generation is not null)
            folder.Write("generation_config.json", $$"""{"eos_token_id":{{generation}}}""");
        if (tokenizer is not null)
            folder.Write("tokenizer_config.json", $$"""{"eos_token":"{{tokenizer}}"}""");
        JsonObject json = TokenizerFiles.ByteLevel(null, []);
        json["model"]!["vocab"] = new JsonObject
        {
            ["a"] = 0,
            ["b"] = 1,
            ["c"] = 2,
            ["d"] = 3,
            ["e"] = 4,
        };
        json["added_tokens"] = new JsonArray(TokenizerFiles.Added("<a>", 5), TokenizerFiles.Added("<b>", 6));
        if (template is { } id)
        {
            json["post_processor"] = new JsonObject
            {
                ["type"] = "TemplateProcessing",
                ["single"] = JsonNode.Parse("""[{"Sequence":{"id":"A"}},{"SpecialToken":{"id":"E"}}]"""),
                ["special_tokens"] = new JsonObject { ["E"] = new JsonObject { ["ids"] = new JsonArray(id) } },
            };
        }
        BpeTokenizer loaded = TokenizerFiles.Load(folder, json);
        using var model = ModelFolder.Open(folder.Path, weightsOptional: true);
        var ends = EndTokens.Of(model, loaded);
        return ends with { Warnings = [.. model.Warnings, .. ends.Warnings] };
    }

    [TestCase("5", null, null, new[] { 5 })]
    [TestCase("[5,6]", "[6,5]", "<a>", new[] { 5, 6 })]
    [TestCase("null", "6", "<b>", new[] { 6 })]
    [TestCase(null, null, "<b>", new[] { 6 })]
    [TestCase("null", null, null, new int[0])]
    public void FilesThatAgreeSayNothing(string? own, string? generation, string? tokenizer, int[] expected)
    {
        EndTokens ends = Of(own, generation, tokenizer);
        Assert.That(ends.Ids, Is.EqualTo(expected));
        Assert.That(ends.Warnings, Is.Empty);
    }

    [TestCase("5", "6", null, null, new[] { 5, 6 }, "generation_config.json", "6, without 5", "config.json")]
    [TestCase("5", null, "<b>", null, new[] { 5 }, "'<a>' (5) of config.json", "tokenizer_config.json is '<b>' (6)")]
    [TestCase("null", "[6,5]", "<a>", null, new[] { 6, 5 }, "'<b>' (6) of generation_config.json", "'<a>' (5)")]
    [TestCase("5", null, null, 6, new[] { 5 }, "post_processor of tokenizer.json puts '<b>' (6)")]
    [TestCase(null, null, null, null, new[] { 2 }, "no file names an end token", "default of llama")]
    public void FilesThatDifferAreNamedWithTheirTokens(
        string? own,
        string? generation,
        string? tokenizer,
        int? template,
        int[] expected,
        params string[] says
    )
    {
        EndTokens ends = Of(own, generation, tokenizer, template);
        Assert.That(ends.Ids, Is.EqualTo(expected));
        Assert.That(ends.Warnings, Has.Count.EqualTo(1));
        foreach (string text in says)
            Assert.That(ends.Warnings[0], Does.Contain(text));
    }
}
