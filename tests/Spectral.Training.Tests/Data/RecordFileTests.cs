using Parquet;
using Parquet.Schema;
using Spectral.Training.Chat;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Tests.IO.Fuzzing;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Data;

/// <summary>
/// Reads JSON arrays, Parquet and folders. The Parquet files in Data/Parquet were written by DuckDB 1.5, which shares
/// no code with the library that reads them.
/// </summary>
public sealed class RecordFileTests : FolderTest
{
    private const string Template =
        "{% for m in messages %}[{{ m.role }}{% if m.name is defined %}={{ m.name }}{% endif %}]{{ m.content }}"
        + "{% endfor %}|{{ id }}|{{ n }}|{{ ok }}|{{ f }}|{{ tags }}";

    private static readonly string Fixtures = Path.Combine(TestContext.CurrentContext.TestDirectory, "Data", "Parquet");

    [TestCase("chats-uncompressed-v1")]
    [TestCase("chats-uncompressed-v2")]
    [TestCase("chats-snappy-v1")]
    [TestCase("chats-snappy-v2")]
    [TestCase("chats-gzip-v1")]
    [TestCase("chats-zstd-v1")]
    [TestCase("chats-brotli-v1")]
    [TestCase("chats-lz4_raw-v1")]
    public void ListsOfStructuresInParquetAreConversations(string name)
    {
        folder.Write("chat_template.jinja", Template);
        var format = ChatFormat.Load(folder.Path);
        IReadOnlyList<TrainingRecord> records = RecordReader.Load(Path.Combine(Fixtures, name + ".parquet"));
        // A column that is null is no variable of the template; a list may be empty.
        Assert.That(
            records.Select(record => format.Render(record.Chat!).Text),
            Is.EqualTo(
                new[]
                {
                    "[system]Be brief.[user=zoe]Hi[assistant]Hello, Zoë 😀|a|1|True|0.5|['x', 'y']",
                    "[user]2+2?[assistant]4|||False||[]",
                    "[user]Why?[assistant]|c|3||2.25|",
                }
            )
        );
    }

    [Test]
    public async Task RowsOfAllRowGroupsComeInOrder()
    {
        string path = folder.File("d.parquet");
        await Write(path, [(["a", "b"], ["1", "2"]), (["c"], ["3"])]);
        Assert.That(
            RecordReader.Load(path),
            Is.EqualTo(
                new[]
                {
                    new TrainingRecord("a", "1", null, $"{path}, record 1"),
                    new TrainingRecord("b", "2", null, $"{path}, record 2"),
                    new TrainingRecord("c", "3", null, $"{path}, record 3"),
                }
            )
        );
    }

    [Test]
    public async Task ParquetOfAnotherSchemaNamesTheRecord()
    {
        string path = folder.File("d.parquet");
        await Write(path, [(["a"], ["1"])], "question", "answer");
        Refuses(path, ", record 1: keys of no known format, expected those of one: instruction and output");
        await Write(path, [([null], ["1"])]);
        Refuses(path, ", record 1: prompt missing or null, expected prompt and completion");
    }

    [Test]
    public async Task ParquetWithoutRowsOrReadableColumnsIsRefused()
    {
        string path = folder.File("d.parquet");
        await Write(path, []);
        Refuses(path, ": no records, expected");
        ParquetSchema images = new(new DataField<byte[]>("image"));
        await using (FileStream stream = File.Create(path))
        await using (ParquetWriter writer = await ParquetWriter.CreateAsync(images, stream))
        {
            using ParquetRowGroupWriter group = writer.CreateRowGroup();
            await group.WriteAsync(images.DataFields[0], new byte[][] { [1, 2] });
        }
        Refuses(path, ": no column of texts, numbers or truth values, expected");
    }

    [Test]
    public void ParquetThatIsCutOffAnywhereIsRefused()
    {
        byte[] whole = File.ReadAllBytes(Path.Combine(Fixtures, "chats-snappy-v1.parquet"));
        for (int length = 4; length < whole.Length; length++)
            Refuses(folder.Write("d.parquet", whole[..length]), ": damaged, cut off, or no Parquet that can be read: ");
    }

    [TestCase("chats-uncompressed-v1")]
    [TestCase("chats-snappy-v2")]
    [TestCase("chats-zstd-v1")]
    public void DamagedParquetIsRefusedOrRead(string name)
    {
        string path = folder.Write("d.parquet", File.ReadAllBytes(Path.Combine(Fixtures, name + ".parquet")));
        new FuzzRun(path, Flip, () => RecordReader.Load(path)).Run(name, 500);
    }

    [Test]
    public void ElementsOfAJsonArrayAreRecords()
    {
        string[] texts = ["a, ]}[{ \\\" \\\\", new string('b', 200_000), "é 😀"];
        string path = folder.Write(
            "d.json",
            "\uFEFF \r\n[\n"
                + string.Join(" ,\n", texts.Select(text => $"{{\"text\": \"{text}\", \"x\": [[{{}}]]}}"))
                + "\n]\n"
        );
        IReadOnlyList<TrainingRecord> records = RecordReader.Load(path);
        Assert.Multiple(() =>
        {
            Assert.That(
                records.Select(record => record.Text),
                Is.EqualTo(new[] { "a, ]}[{ \" \\", texts[1], texts[2] })
            );
            Assert.That(records[2].Place, Is.EqualTo($"{path}, record 3"));
        });
    }

    [Test]
    public void AnArrayCutAnywhereIsRefused()
    {
        const string Whole = """[{"text":"a]\\"},{"text":"b"}]""";
        for (int length = 1; length < Whole.Length; length++)
            Refuses(folder.Write("d.json", Whole[..length]), ", record ");
    }

    [TestCase("[]", ": no records")]
    [TestCase("[1]", ", record 1: the top level is 1, expected an object")]
    [TestCase("[{\"text\":\"a\"},{\"text\":}]", ", record 2: not valid JSON")]
    [TestCase("[{\"text\":\"a\"},]", ", record 2: nothing between commas, expected an object")]
    [TestCase("[,{\"text\":\"a\"}]", ", record 1: nothing between commas, expected an object")]
    [TestCase("[{\"text\":\"a\"}}]", ", record 1: not valid JSON")]
    [TestCase("[{\"text\":\"a\"}] x", ": something after the end of the JSON array, expected nothing")]
    [TestCase("[{\"text\":\"a\"} {}]", ", record 1: not valid JSON")]
    public void FaultyArraysNameTheRecord(string text, string says) => Refuses(folder.Write("d.json", text), says);

    [Test]
    public async Task FilesOfAFolderComeInTheOrdinalOrderOfTheirNames()
    {
        folder.Write("b.jsonl", "{\"text\":\"2\"}\n");
        folder.Write("B.json", "[{\"text\":\"1\"}]");
        folder.Write("readme.md", "no data");
        Directory.CreateDirectory(folder.File("c.jsonl"));
        await Write(folder.File("c.parquet"), [(["p"], ["3"])]);
        Assert.That(
            RecordReader.Load(folder.Path).Select(record => record.Text ?? record.Completion),
            Is.EqualTo(new[] { "1", "2", "3" })
        );
    }

    [Test]
    public void AFolderWithoutDataOrWithAnEmptyFileIsRefused()
    {
        Refuses(folder.Path, ": a folder without data, expected files that end in .jsonl or .json or .parquet");
        folder.Write("a.jsonl", "{\"text\":\"1\"}\n");
        folder.Write("b.jsonl", "");
        Assert.That(
            () => RecordReader.Load(folder.Path),
            Throws.TypeOf<InputException>().With.Message.StartsWith(folder.File("b.jsonl") + ": no records")
        );
    }

    [Test]
    public void RecordsAreReadOneAfterTheOther()
    {
        // The fault in the third is not met before it is asked for.
        string path = folder.Write("d.json", "[{\"text\":\"1\"},{\"text\":\"2\"},{");
        Assert.That(RecordReader.Read(path).Take(2).Select(record => record.Text), Is.EqualTo(new[] { "1", "2" }));
    }

    private static void Refuses(string path, string says) =>
        Assert.That(
            () => RecordReader.Load(path),
            Throws.TypeOf<InputException>().With.Message.StartsWith(path + says)
        );

    private static byte[] Flip(byte[] valid, Random random)
    {
        byte[] damaged = [.. valid];
        for (int i = random.Next(1, 4); i > 0; i--)
            damaged[random.Next(4, damaged.Length)] = (byte)random.Next(256);
        return damaged;
    }

    private static async Task Write(
        string path,
        (string?[] First, string?[] Second)[] groups,
        string first = "prompt",
        string second = "completion"
    )
    {
        ParquetSchema schema = new(new DataField<string>(first), new DataField<string>(second));
        await using FileStream stream = File.Create(path);
        await using ParquetWriter writer = await ParquetWriter.CreateAsync(schema, stream);
        foreach ((string?[] one, string?[] two) in groups)
        {
            using ParquetRowGroupWriter group = writer.CreateRowGroup();
            await group.WriteAsync(schema.DataFields[0], one!);
            await group.WriteAsync(schema.DataFields[1], two!);
        }
    }
}
