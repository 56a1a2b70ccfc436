using System.Text.Json.Nodes;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Models;

/// <summary>Which heads for classes or a number configs ask for, written again, and what is refused.</summary>
public sealed class ClassifierConfigTests : FolderTest
{
    [TestCase("""{"id2label":{"0":"a","1":"b","2":"c"}}""", new[] { "a", "b", "c" }, false)]
    [TestCase("""{"num_labels":3}""", new[] { "LABEL_0", "LABEL_1", "LABEL_2" }, false)]
    [TestCase("{}", new[] { "LABEL_0", "LABEL_1" }, false)]
    [TestCase("""{"id2label":{"0":"x"}}""", new[] { "x" }, true)]
    [TestCase("""{"num_labels":1,"problem_type":"regression"}""", new[] { "LABEL_0" }, true)]
    public void AnEncoderHasTheLabelsOfItsConfig(string keys, string[] labels, bool isRegression)
    {
        ModelConfig config = Load(keys);
        config.Save(folder.Path);
        foreach (ModelConfig each in new[] { config, ModelConfig.Load(folder.Path) })
        {
            Assert.That(each.Classifier!.Labels, Is.EqualTo(labels));
            Assert.That(each.Classifier.IsRegression, Is.EqualTo(isRegression));
            Assert.That(each.Classifier.Kind, Is.EqualTo(ClassifierKind.Sequence));
            Assert.That((each.TieWordEmbeddings, each.TokenTypes, each.LongestSequence), Is.EqualTo((false, 2, 9)));
        }
    }

    [Test]
    public void PositionsOfRobertaBeginBehindThePaddingToken()
    {
        ModelConfig config = Load(
            """{"model_type":"roberta","architectures":["RobertaForTokenClassification"],"type_vocab_size":1}"""
        );
        config.Save(folder.Path);
        foreach (ModelConfig each in new[] { config, ModelConfig.Load(folder.Path) })
        {
            Assert.That((each.FirstPosition, each.LongestSequence, each.TokenTypes), Is.EqualTo((2, 7, 1)));
            Assert.That(each.Classifier!.Kind, Is.EqualTo(ClassifierKind.Tokens));
        }
    }

    /// <summary>A config that was read from no file writes the keys of its head.</summary>
    [Test]
    public void AConfigWithoutAFileWritesItsHead()
    {
        foreach (ModelConfig config in new[] { TinyClassifiers.Bert, TinyClassifiers.Roberta, TinyClassifiers.Llama })
        {
            config.Save(folder.Path);
            var again = ModelConfig.Load(folder.Path);
            Assert.That(again.Classifier!.Labels, Is.EqualTo(config.Classifier!.Labels));
            Assert.That((again.ModelType, again.FirstPosition), Is.EqualTo((config.ModelType, config.FirstPosition)));
        }
    }

    [TestCase(
        """{"architectures":["BertForMaskedLM"]}""",
        "architectures is an array of 1, expected BertForSequenceClass"
    )]
    [TestCase("""{"architectures":null}""", "expected BertForSequenceClassification or …ForTokenClassification")]
    [TestCase("""{"id2label":{"0":"a","2":"b"}}""", "id2label is an object, expected numbers from 0 without gaps")]
    [TestCase("""{"id2label":{"zero":"a"}}""", "expected an object that maps numbers from 0 to names")]
    [TestCase("""{"problem_type":"multi_label_classification"}""", "expected regression or single_label")]
    [TestCase("""{"problem_type":"regression"}""", "expected one label for the number of a text, not 2")]
    [TestCase(
        """{"num_labels":1,"problem_type":"single_label_classification"}""",
        "num_labels is 1, expected two classes or more"
    )]
    [TestCase("""{"position_embedding_type":"relative_key"}""", "expected absolute")]
    [TestCase("""{"is_decoder":true}""", "is_decoder is true, expected false")]
    [TestCase("""{"model_type":"gpt2","architectures":["GPT2ForTokenClassification"]}""", "no classes of words")]
    public void WhatThereIsNotIsRefused(string keys, string says) =>
        Assert.That(() => Load(keys), Throws.TypeOf<InputException>().With.Message.Contains(says));

    private ModelConfig Load(string keys)
    {
        JsonObject json = JsonNode
            .Parse(
                """
                {"model_type":"bert","architectures":["BertForSequenceClassification"],"vocab_size":11,"hidden_size":8,
                "num_hidden_layers":1,"num_attention_heads":2,"intermediate_size":6,"max_position_embeddings":9,
                "type_vocab_size":2,"tie_word_embeddings":true}
                """
            )!
            .AsObject();
        foreach ((string key, JsonNode? value) in JsonNode.Parse(keys)!.AsObject())
            json[key] = value?.DeepClone();
        folder.Write("config.json", json.ToJsonString());
        return ModelConfig.Load(folder.Path);
    }
}
