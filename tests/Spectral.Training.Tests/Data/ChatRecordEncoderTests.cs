using System.Text;
using Spectral.Training.Chat;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Tests.Support;
using Spectral.Training.Tokenization;

namespace Spectral.Training.Tests.Data;

public sealed class ChatRecordEncoderTests : FolderTest
{
    private const string Turns =
        """{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "bc"}, """
        + """{"role": "user", "content": "d"}, {"role": "assistant", "content": "e"}]}""";

    private const string Plain =
        "{% for m in messages %}<{{ m.role[0] }}>{{ m.content }}.{% endfor %}"
        + "{% if add_generation_prompt %}<a>{% endif %}";

    private const string Marked =
        "{% for m in messages %}{% if m.role == 'assistant' %}<a>{% generation %}{{ m.content }}.{% endgeneration %}"
        + "{% else %}<u>{{ m.content }}.{% endif %}{% endfor %}";

    // The text of whole records is the same in all cases; one token per byte.
    [TestCase(Plain, TrainOn.Assistant, "<u>a.<a>bc.<u>d.<a>e.", "bc.e.")]
    [TestCase(Marked, TrainOn.Assistant, "<u>a.<a>bc.<u>d.<a>e.", "bc.e.")]
    [TestCase(Plain, TrainOn.Completion, "<u>a.<a>bc.<u>d.<a>e.", "e.")]
    [TestCase(Plain, TrainOn.All, "<u>a.<a>bc.<u>d.<a>e.", "u>a.<a>bc.<u>d.<a>e.")]
    public void OnlyTheTurnsAskedForCarryLoss(string template, TrainOn trainOn, string text, string learnt)
    {
        EncodedRecord record = Encode(template, trainOn);
        Assert.That(Text(record.Tokens), Is.EqualTo(text));
        var batch = Batch.Create([record]);
        Assert.That(Text(batch.Targets.Where(target => target >= 0)), Is.EqualTo(learnt));
        Assert.That((batch.LossTokens, record.LossTokens), Is.EqualTo((learnt.Length, learnt.Length)));
        Assert.That(batch.Targets[record.LossFrom - 1], Is.EqualTo((int)learnt[0]));
    }

    [TestCase(Plain, TrainOn.Assistant, 0, "e.")]
    [TestCase(Plain, TrainOn.Assistant, 'e', "e")]
    [TestCase(Plain, TrainOn.Completion, '.', "e.")]
    [TestCase(Marked, TrainOn.Assistant, 0, "e.")]
    public void AContinuationIsComparedWithTheLastTurnUpToItsEndToken(
        string template,
        TrainOn trainOn,
        int endToken,
        string turn
    )
    {
        EncodedRecord record = Encode(template, trainOn, endToken: endToken);
        Assert.Multiple(() =>
        {
            Assert.That(record.HasCompletion);
            Assert.That(Text(record.Tokens[record.LastTurn.From..record.LastTurn.End]), Is.EqualTo(turn));
            Assert.That(Text(record.Tokens[..record.PromptLength]), Is.EqualTo("<u>a.<a>bc.<u>d.<a>"));
        });
    }

    [Test]
    public void WithoutALastTurnOfTheAssistantNothingIsCompared()
    {
        Assert.That(Encode(Plain, TrainOn.All).HasCompletion, Is.False);
        Assert.That(Encode(Plain, TrainOn.Assistant, maximumLength: 2).HasCompletion, Is.False, "cut into the turn");
        string open = Turns.Replace("]}", """, {"role": "user", "content": "f"}]}""");
        Assert.That(Encode(Plain, TrainOn.Assistant, turns: open).HasCompletion, Is.False);
    }

    [Test]
    public void LongConversationsLoseTokensOnTheLeft()
    {
        EncodedRecord record = Encode(Plain, TrainOn.Assistant, maximumLength: 12);
        Assert.That(Text(record.Tokens), Is.EqualTo("c.<u>d.<a>e."));
        Assert.That((record.Cut, record.LossTokens), Is.EqualTo((true, 3)), "nothing predicts the first token");
    }

    [Test]
    public void ATemplateThatChangesEarlierTurnsIsRefused() =>
        Assert.That(
            () => Encode("{{ messages | length }}" + Plain, TrainOn.Assistant),
            Throws
                .TypeOf<InputException>()
                .With.Message.StartsWith(folder.File("d.jsonl") + ", line 1: ")
                .And.Message.Contains("generation blocks")
        );

    [Test]
    public void ConversationsWithoutATemplateAreRefused()
    {
        IReadOnlyList<TrainingRecord> records = RecordReader.Load(folder.Write("d.jsonl", Turns));
        Assert.That(
            () => RecordEncoder.EncodeAll(records, Tokenizer(), [0], 99),
            Throws.TypeOf<InputException>().With.Message.Contains("line 1").And.Message.Contains("chat template")
        );
    }

    private BpeTokenizer Tokenizer() => TokenizerFiles.Load(folder, TokenizerFiles.ByteLevel(null, []));

    private EncodedRecord Encode(
        string template,
        TrainOn trainOn,
        int maximumLength = 99,
        int endToken = 0,
        string turns = Turns
    )
    {
        folder.Write("chat_template.jinja", template);
        IReadOnlyList<TrainingRecord> records = RecordReader.Load(folder.Write("d.jsonl", turns));
        var chat = ChatFormat.Load(folder.Path);
        return RecordEncoder.EncodeAll(records, Tokenizer(), [endToken], maximumLength, chat, trainOn)[0];
    }

    private static string Text(IEnumerable<int> tokens) =>
        Encoding.UTF8.GetString([.. tokens.Select(token => (byte)token)]);
}
