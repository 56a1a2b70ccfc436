namespace Spectral.Bench;

/// <summary>
/// One line of the table, one entry of the report. Times are in microseconds per call; what does not apply is null.
/// </summary>
internal sealed record Result
{
    public required string Case { get; init; }
    public required int Target { get; init; }
    public required string Shape { get; init; }
    public required string Variant { get; init; }

    /// <summary><c>ours</c>, <c>plain</c>, <c>a</c> or <c>b</c>.</summary>
    public required string Role { get; init; }

    /// <summary><c>ok</c>, <c>FAILED</c> (it computes something else: no time) or <c>unavailable</c>.</summary>
    public required string Status { get; init; }

    /// <summary>Why it failed or is unavailable.</summary>
    public string? Note { get; init; }

    public double? MedianUs { get; init; }
    public double? P10Us { get; init; }
    public double? P90Us { get; init; }
    public double? LeastUs { get; init; }
    public int Samples { get; init; }
    public int CallsPerSample { get; init; }

    /// <summary><c>events</c> or <c>host</c>.</summary>
    public string? Clock { get; init; }

    public double Bytes { get; init; }
    public double Flops { get; init; }
    public double? GbPerS { get; init; }
    public double? Tflops { get; init; }

    /// <summary><c>memory</c> or <c>compute</c>: the larger of the two floors.</summary>
    public string? Bound { get; init; }

    /// <summary>
    /// 100 × floor / median: the floor is the larger of bytes over the measured copy rate and operations over that of
    /// the product.
    /// </summary>
    public double? PercentOfCeiling { get; init; }

    /// <summary>
    /// Median over that of the scenario's plain product, sequence A, sequence B, the fastest where there are several:
    /// below 1 is faster.
    /// </summary>
    public double? RatioToPlain { get; init; }
    public double? RatioToA { get; init; }
    public double? RatioToB { get; init; }

    /// <summary>Further figures by name.</summary>
    public IReadOnlyDictionary<string, double> Figures { get; init; } = new Dictionary<string, double>();

    /// <summary>The value that a share of the samples lies below, between neighbours linearly.</summary>
    public static double Quantile(double[] ascending, double share)
    {
        double position = share * (ascending.Length - 1);
        int below = (int)position;
        return below + 1 == ascending.Length
            ? ascending[below]
            : ascending[below] + (position - below) * (ascending[below + 1] - ascending[below]);
    }
}

/// <summary>What this device does at best, measured in the same run.</summary>
/// <param name="CopyBytesPerSecond">A large device-to-device copy, bytes read plus bytes written.</param>
/// <param name="FlopsPerSecond">A large BF16 matrix product by the BLAS library.</param>
internal sealed record Ceilings(double CopyBytesPerSecond, double FlopsPerSecond)
{
    public double FloorMicroseconds(double bytes, double flops) =>
        1e6 * Math.Max(bytes / CopyBytesPerSecond, flops / FlopsPerSecond);

    public bool IsMemoryBound(double bytes, double flops) => bytes / CopyBytesPerSecond >= flops / FlopsPerSecond;
}
