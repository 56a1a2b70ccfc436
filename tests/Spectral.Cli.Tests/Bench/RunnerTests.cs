using Spectral.Bench;
using Spectral.Bench.Reports;
using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Timer = Spectral.Bench.Timer;

namespace Spectral.Cli.Tests.Bench;

/// <summary>What the benchmark does with variants that are wrong, break or are not there.</summary>
public sealed class RunnerTests
{
    private static readonly Ceilings Ceilings = new(1e9, 1e9);

    private Machine _machine = null!;

    [SetUp]
    public void Open() => _machine = new Machine(Device.Cpu(), Extent.Smoke);

    [TearDown]
    public void Close() => _machine.Dispose();

    [Test]
    public void AWrongVariantReportsNoTime()
    {
        IReadOnlyList<Result> results = Run(scenario =>
        {
            scenario.Variants.Add(Doubling(scenario, "right", factor: 2, role: Role.Plain));
            scenario.Variants.Add(Doubling(scenario, "off by a percent", factor: 2.02f));
            scenario.Variants.Add(Doubling(scenario, "NaN", factor: float.NaN));
        });
        Assert.That(results.Select(result => result.Status), Is.EqualTo(new[] { "ok", "FAILED", "FAILED" }));
        Assert.That(results[0].MedianUs, Is.Positive);
        foreach (Result wrong in results.Skip(1))
        {
            Assert.That(
                (wrong.MedianUs, wrong.P10Us, wrong.P90Us, wrong.LeastUs, wrong.RatioToPlain, wrong.GbPerS),
                Is.EqualTo(((double?)null, (double?)null, (double?)null, (double?)null, (double?)null, (double?)null))
            );
            Assert.That(Table.Line(wrong), Does.Contain("FAILED").And.Contain("twice"));
        }
        Assert.That(results[2].Note, Does.Contain("not finite or was not written"));
    }

    [Test]
    public void AnUnwrittenTailIsFound()
    {
        IReadOnlyList<Result> results = Run(scenario =>
        {
            Tensor x = scenario.Own(_machine.Normal((33, 65), DType.F32));
            Tensor y = scenario.Own(Tensor.Empty(_machine.Device, (33, 65)));
            scenario.Variants.Add(
                new Variant("all but the last row", _ => { })
                {
                    Check = () =>
                    {
                        Machine.Poison(y);
                        using Tensor from = x.Rows(0, 32);
                        using Tensor to = y.Rows(0, 32);
                        to.CopyFrom(from);
                        var wanted = new HostMatrix(x);
                        return Check.Compare(y, "y", (row, column) => wanted[row, column], DType.F32);
                    },
                }
            );
        });
        Assert.That(results.Single().Note, Does.Contain("y[32, 0]"));
    }

    [Test]
    public void ABreakingVariantAndAMissingOneAreLinesOfTheReport()
    {
        IReadOnlyList<Result> results = Run(scenario =>
        {
            scenario.Variants.Add(
                new Variant("breaks", _ => { }) { Check = () => throw new InvalidOperationException("it broke") }
            );
            scenario.Variants.Add(
                new Variant("breaks in timing", _ => { })
                {
                    Check = () => null,
                    Measure = _ => throw new InvalidOperationException("later"),
                }
            );
            scenario.Variants.Add(Variant.Unavailable("elsewhere", "no such library"));
            scenario.Variants.Add(Doubling(scenario, "right", factor: 2));
        });
        Assert.That(
            results.Select(result => result.Status),
            Is.EqualTo(new[] { "FAILED", "FAILED", "unavailable", "ok" })
        );
        Assert.That(
            results.Select(result => result.Note),
            Is.EqualTo(
                new[]
                {
                    "InvalidOperationException: it broke",
                    "InvalidOperationException: later",
                    "no such library",
                    null,
                }
            )
        );
    }

    [Test]
    public void CallsGoRoundOnAllCopies()
    {
        var used = new List<int>();
        var variant = new Variant("noted", used.Add) { Check = () => null };
        new Timer(_machine).Run([variant], copies: 3);
        Assert.That(used, Is.EqualTo(Enumerable.Range(0, used.Count).Select(i => i % 3)));
        Assert.That(used.Distinct().Count(), Is.EqualTo(3));
    }

    [Test]
    public void RatiosAndCeilingsAreThoseOfTheMedians()
    {
        Variant Fixed(string name, Role role, params double[] times) =>
            new(name, _ => { })
            {
                Role = role,
                Check = () => null,
                Bytes = 2000,
                Flops = 500,
                Measure = _ => new Samples(times, 1, "host"),
            };
        IReadOnlyList<Result> results = Run(scenario =>
            scenario.Variants.AddRange([
                Fixed("plain", Role.Plain, 3, 4, 5),
                Fixed("A", Role.A, 16),
                Fixed("B", Role.B, 10),
                Fixed("ours", Role.Ours, 9, 8, 7),
            ])
        );
        Result ours = results[3];
        Assert.That((ours.MedianUs, ours.RatioToPlain, ours.RatioToA, ours.RatioToB), Is.EqualTo((8.0, 2.0, 0.5, 0.8)));
        Assert.That(ours.P10Us, Is.EqualTo(7.2).Within(1e-9));
        Assert.That(ours.PercentOfCeiling, Is.EqualTo(25).Within(1e-9), "2000 bytes at 1 GB/s are 2 µs");
        Assert.That((ours.Bound, ours.GbPerS), Is.EqualTo(("memory", 0.25)));
    }

    [Test]
    public void RatiosAreToTheFastestOfSeveral()
    {
        Variant Fixed(string name, Role role, double time) =>
            new(name, _ => { })
            {
                Role = role,
                Check = () => null,
                Measure = _ => new Samples([time], 1, "host"),
            };
        IReadOnlyList<Result> results = Run(scenario =>
            scenario.Variants.AddRange([
                Fixed("plain", Role.Plain, 4),
                Fixed("plain-lt", Role.Plain, 2),
                Fixed("A", Role.A, 10),
                Fixed("A-lt", Role.A, 20),
                Fixed("ours", Role.Ours, 5),
            ])
        );
        Assert.That(results.Select(result => result.RatioToPlain), Is.EqualTo(new[] { 2.0, 1, 5, 10, 2.5 }));
        Assert.That((results[4].RatioToA, results[4].RatioToB), Is.EqualTo((0.5, (double?)null)));
    }

    private Variant Doubling(Scenario scenario, string name, float factor, Role role = Role.Ours)
    {
        Tensor x = scenario.Own(_machine.Normal((40, 50), DType.F32));
        Tensor y = scenario.Own(Tensor.Empty(_machine.Device, (40, 50)));
        void Run(int copy)
        {
            y.CopyFrom(x);
            Scale.Run(y, factor);
        }
        return new Variant(name, Run)
        {
            Role = role,
            Bytes = 2.0 * x.Bytes,
            Check = () =>
            {
                Machine.Poison(y);
                Run(0);
                var input = new HostMatrix(x);
                return Check.Compare(y, "twice", (row, column) => 2 * input[row, column], DType.F32);
            },
        };
    }

    private IReadOnlyList<Result> Run(Action<Scenario> fill)
    {
        using var scenario = new Scenario();
        fill(scenario);
        return new Runner(_machine, Ceilings).Run("test", 0, new Plan("any", () => scenario), scenario);
    }
}
