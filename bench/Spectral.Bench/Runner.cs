namespace Spectral.Bench;

/// <summary>
/// Checks and times scenarios. Whatever goes wrong in one is a line of the report and not the end of the run.
/// </summary>
internal sealed class Runner(Machine machine, Ceilings ceilings)
{
    private readonly Timer _timer = new(machine);

    /// <summary>The results of one plan, in the order of its variants.</summary>
    public IReadOnlyList<Result> Run(string name, int target, Plan plan)
    {
        Scenario scenario;
        try
        {
            scenario = plan.Prepare();
        }
        catch (Exception error) when (IsForReport(error))
        {
            return [Line(name, target, plan, Variant.Unavailable("all", Text(error)), "unavailable", Text(error))];
        }
        using (scenario)
            return Run(name, target, plan, scenario);
    }

    public IReadOnlyList<Result> Run(string name, int target, Plan plan, Scenario scenario)
    {
        var wrong = new Dictionary<Variant, (string Status, string Note)>();
        Dictionary<Variant, Samples> samples = [];
        bool Right(Variant variant)
        {
            try
            {
                if (variant.Reason is { } reason)
                    throw new NotApplicableException(reason);
                if (Attempt(variant.Check) is { } complaint)
                    wrong[variant] = ("FAILED", complaint);
            }
            catch (NotApplicableException refusal)
            {
                wrong[variant] = ("unavailable", refusal.Message);
            }
            return !wrong.ContainsKey(variant);
        }
        Variant[] together = [.. scenario.Variants.Where(variant => variant.Measure is null && Right(variant))];
        string? failure = Attempt(() =>
        {
            samples = _timer.Run(together, scenario.Copies);
            return null;
        });
        // What takes its own samples is checked just before, so that only one of a scenario's large setups needs to be
        // alive.
        foreach (Variant variant in scenario.Variants.Where(variant => variant.Measure is not null && Right(variant)))
        {
            if (
                Attempt(() =>
                {
                    samples[variant] = variant.Measure!(_timer.Count(variant, 0));
                    return null;
                }) is
                { } complaint
            )
            {
                wrong[variant] = ("FAILED", complaint);
            }
        }

        double? Median(Role role) =>
            scenario
                .Variants.Where(variant => variant.Role == role && samples.ContainsKey(variant))
                .Min(variant => (double?)Middle(samples[variant]));
        (double? plain, double? a, double? b) = (Median(Role.Plain), Median(Role.A), Median(Role.B));
        return
        [
            .. scenario.Variants.Select(variant =>
            {
                if (wrong.TryGetValue(variant, out (string Status, string Note) why))
                    return Line(name, target, plan, variant, why.Status, why.Note);
                return samples.TryGetValue(variant, out Samples? taken)
                    ? Timed(name, target, plan, variant, taken, plain, a, b)
                    : Line(name, target, plan, variant, "FAILED", failure);
            }),
        ];
    }

    private Result Timed(
        string name,
        int target,
        Plan plan,
        Variant variant,
        Samples samples,
        double? plain,
        double? a,
        double? b
    )
    {
        double[] ascending = [.. samples.Microseconds.Order()];
        double median = Result.Quantile(ascending, 0.5);
        bool counted = variant.Bytes > 0 || variant.Flops > 0;
        string bound = ceilings.IsMemoryBound(variant.Bytes, variant.Flops) ? "memory" : "compute";
        return Line(name, target, plan, variant, "ok", null) with
        {
            MedianUs = median,
            P10Us = Result.Quantile(ascending, 0.1),
            P90Us = Result.Quantile(ascending, 0.9),
            LeastUs = ascending[0],
            Samples = ascending.Length,
            CallsPerSample = samples.CallsPerSample,
            Clock = samples.Clock,
            GbPerS = variant.Bytes > 0 ? variant.Bytes / median / 1e3 : null,
            Tflops = variant.Flops > 0 ? variant.Flops / median / 1e6 : null,
            Bound = counted ? bound : null,
            PercentOfCeiling = counted ? 100 * ceilings.FloorMicroseconds(variant.Bytes, variant.Flops) / median : null,
            RatioToPlain = median / plain,
            RatioToA = median / a,
            RatioToB = median / b,
            Figures = variant.Figures?.Invoke(median) ?? new Dictionary<string, double>(),
        };
    }

    private static double Middle(Samples samples) => Result.Quantile([.. samples.Microseconds.Order()], 0.5);

    private static Result Line(string name, int target, Plan plan, Variant variant, string status, string? note) =>
        new()
        {
            Case = name,
            Target = target,
            Shape = plan.Shape,
            Variant = variant.Name,
            Role = variant.Role.ToString().ToLowerInvariant(),
            Status = status,
            Note = note,
            Bytes = variant.Bytes,
            Flops = variant.Flops,
        };

    private string? Attempt(Func<string?> work)
    {
        try
        {
            string? complaint = work();
            machine.Device.Synchronize();
            return complaint;
        }
        catch (Exception error) when (IsForReport(error))
        {
            return Text(error);
        }
    }

    private static bool IsForReport(Exception error) => error is not (OutOfMemoryException or NotApplicableException);

    private static string Text(Exception error) => $"{error.GetType().Name}: {error.Message}".ReplaceLineEndings(" ");
}
