using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Adapters.Files;
using Spectral.Training.Autograd;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Merging;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;
using Spectral.Training.Traces;

namespace Spectral.Training.Tests.Traces;

/// <summary>Tests the scalars of rank-1 modules against the weights and inputs of their layers, in double.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class RankOneTracerTests(DeviceKind kind) : FolderTest
{
    private TemporaryFolder _adapter = null!;
    private ModelFolder _model = null!;
    private EncodedRecord[] _records = [];

    private Device Device => Devices.Get(kind);

    [SetUp]
    public void WriteModel()
    {
        _adapter = new TemporaryFolder();
        TinyModel.Write(folder);
        _model = ModelFolder.Open(folder.Path);
        _records = TinyModels.Records(5, _model.Config, new Random(4));
    }

    [TearDown]
    public void Close()
    {
        _model.Dispose();
        _adapter.Dispose();
    }

    [Test]
    public void TheScalarTimesBIsWhatTheAdapterAdds()
    {
        WriteAdapter(
            new AdapterOptions
            {
                Rank = 1,
                Alpha = 3,
                TargetModules = ["q_proj", "v_proj", "down_proj"],
            }
        );
        RankOneTraces traces = Trace(shown: _records.Length);
        Assert.That(traces.Modules, Has.Count.EqualTo(6));
        Assert.That(traces.Skipped, Is.Empty);
        Assert.That(traces.Tokens, Is.EqualTo(_records.Sum(record => record.Tokens.Length)));
        using var reader = new AdapterReader(_adapter.Path, _model);
        using var file = SafetensorsFile.Open(_adapter.File("adapter_model.safetensors"));
        Dictionary<string, float[][]> inputs = Inputs(traces.Modules.Select(module => module.Name));
        for (int at = 0; at < traces.Modules.Count; at++)
        {
            TracedModule traced = traces.Modules[at];
            AdaptedModule module = reader.Modules.Single(module => module.Shape.Name == traced.Name);
            float[] a = file.Tensors[AdapterFolder.KeyOf(traced.Name, "lora_A.weight")].ToFloats();
            float[] b = file.Tensors[AdapterFolder.KeyOf(traced.Name, "lora_B.weight")].ToFloats();
            float[] before = _model[$"{traced.Name}.weight"].ToFloats();
            float[] merged = Merger.MergedWeight(_model, reader, module, Device);
            Assert.That(
                traced.OutputNorm,
                Is.EqualTo(Math.Sqrt(b.Sum(value => 9.0 * value * value))).Within(1e-6 * traced.OutputNorm)
            );
            for (int record = 0; record < _records.Length; record++)
            {
                float[] x = inputs[traced.Name][record];
                double[] scalars = traces.Records[record].Values[at];
                Assert.That(scalars, Has.Length.EqualTo(_records[record].Tokens.Length));
                for (int token = 0; token < scalars.Length; token++)
                {
                    double h = 0;
                    for (int j = 0; j < a.Length; j++)
                        h += (double)a[j] * x[(token * a.Length) + j];
                    Assert.That(scalars[token], Is.EqualTo(h).Within(1e-5), $"{traced.Name}, {record}, {token}");
                    for (int row = 0; row < b.Length; row++)
                    {
                        double added = 0;
                        for (int j = 0; j < a.Length; j++)
                        {
                            double change = (double)merged[(row * a.Length) + j] - before[(row * a.Length) + j];
                            added += change * x[(token * a.Length) + j];
                        }
                        Assert.That(scalars[token] * 3 * b[row], Is.EqualTo(added).Within(1e-4));
                    }
                }
            }
        }
    }

    [Test]
    public void StatisticsAreOverAllTokensAndTheTopIsSorted()
    {
        WriteAdapter(new AdapterOptions { Rank = 1, TargetModules = ["o_proj"] });
        RankOneTraces all = Trace(shown: _records.Length);
        RankOneTraces few = Trace(shown: 2);
        Assert.That(few.Records, Has.Count.EqualTo(2));
        Assert.That(few.Modules.Select(module => module.Mean), Is.EqualTo(all.Modules.Select(module => module.Mean)));
        double[] values = [.. all.Records.SelectMany(record => record.Values[1])];
        TracedModule second = all.Modules[1];
        double mean = values.Average();
        Assert.That(second.Mean, Is.EqualTo(mean).Within(1e-9));
        Assert.That(
            second.StandardDeviation,
            Is.EqualTo(Math.Sqrt(values.Average(value => (value - mean) * (value - mean)))).Within(1e-9)
        );
        Assert.That(second.MeanMagnitude, Is.EqualTo(values.Average(Math.Abs)).Within(1e-9));
        Assert.That(second.Largest, Is.EqualTo(values.Max(Math.Abs)));
        Assert.That(
            second.Top.Select(token => Math.Abs(token.Value)),
            Is.EqualTo(values.Select(Math.Abs).OrderDescending().Take(10))
        );
        foreach (TracedToken token in second.Top)
        {
            Assert.That(all.Records[token.Record].Values[1][token.Position], Is.EqualTo(token.Value));
            Assert.That(_records[token.Record].Tokens[token.Position], Is.EqualTo(token.Token));
        }
    }

    [Test]
    public void OtherRanksAreSkippedAndRefusedWhereThereIsNoOther()
    {
        WriteAdapter(
            new AdapterOptions
            {
                Rank = 1,
                TargetModules = ["q_proj", "up_proj"],
                RankPattern = [new("up_proj", 2)],
            }
        );
        RankOneTraces traces = Trace(shown: 0);
        Assert.That(traces.Modules.Select(module => module.Name), Is.All.Contains("q_proj"));
        Assert.That(traces.Skipped, Has.Count.EqualTo(2).And.All.Contains("up_proj"));
        Assert.That(traces.Records, Is.Empty);

        WriteAdapter(new AdapterOptions { Rank = 2, TargetModules = ["q_proj"] });
        Assert.That(
            () => Trace(shown: 0),
            Throws.TypeOf<InputException>().With.Message.Contains(_adapter.Path).And.Message.Contains("rank 1")
        );
    }

    private RankOneTraces Trace(int shown)
    {
        using var model = CausalLanguageModel.Load(_model, Device, DType.F32);
        return RankOneTracer.Trace(model, _model, _adapter.Path, _records, shown);
    }

    private void WriteAdapter(AdapterOptions options)
    {
        using var model = CausalLanguageModel.Load(_model, Device, DType.F32);
        using var adapter = Adapter.Attach(model, AdapterMethods.Find("lora"), options);
        TestAdapters.Randomize(adapter, 6);
        adapter.Save(_adapter.Path);
    }

    /// <summary>Returns the inputs [tokens, in] of layers of the adapted model, by layer and record.</summary>
    private Dictionary<string, float[][]> Inputs(IEnumerable<string> names)
    {
        using var model = CausalLanguageModel.Load(_model, Device, DType.F32);
        using var adapter = Adapter.Load(model, _adapter.Path);
        var inputs = new Dictionary<string, float[][]>();
        foreach (string name in names)
        {
            SiblingLinears siblings = model.Linears.Single(linear => linear.Name == name).Siblings;
            var seen = new Seen();
            siblings.Observer = seen;
            foreach (EncodedRecord record in _records)
            {
                using var tensors = new BatchTensors(Device, Batch.Create([record]));
                using var tape = new Tape(Device, records: false);
                using Variable hidden = model.Hidden(tape, tensors);
            }
            siblings.Observer = null;
            inputs[name] = [.. seen.Inputs];
        }
        return inputs;
    }

    private sealed class Seen : LinearObserver
    {
        public List<float[]> Inputs { get; } = [];

        public override void Forward(Tensor x) => Inputs.Add(x.ToArray());
    }
}
