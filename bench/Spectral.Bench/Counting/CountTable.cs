using System.Globalization;

namespace Spectral.Bench.Counting;

/// <summary>
/// An aligned line for each variant, and below it one for each of its kernels if there are several: work beside that of
/// the contract, quality of the memory accesses, and a bound for the GPU.
/// </summary>
internal sealed class CountTable(DeviceRates rates)
{
    public string Header =>
        Line(
            "case shape",
            "variant or kernel",
            "launches",
            "instructions",
            "MB",
            "/contract",
            "Mop",
            "/contract",
            "sect/req",
            "reads",
            "again MB",
            "excess %",
            "conflicts",
            "local B",
            "occupancy %",
            $"{rates.Profile} bound"
        );

    public IEnumerable<string> Lines(CountedVariant counted)
    {
        yield return Line(
            $"{counted.Case} {counted.Shape}",
            counted.Variant,
            counted.Launches.Count,
            counted.Total,
            counted.IsWhole ? counted.Bytes : 0,
            counted.IsWhole ? counted.Flops : 0,
            counted.ByKernel.Count == 1 ? OccupancyOf(counted.Launches) : "",
            counted.BoundOn(rates)
        );
        if (counted.ByKernel.Count == 1)
            yield break;
        foreach ((int count, CountedLaunch sum) in counted.ByKernel)
        {
            CountedLaunch[] launches = [.. counted.Launches.Where(launch => launch.Kernel == sum.Kernel)];
            yield return Line(
                "",
                "  " + sum.Kernel,
                count,
                sum,
                0,
                0,
                OccupancyOf(launches),
                Bound.Of(rates, launches, 0)
            );
        }
    }

    private string Line(
        string place,
        string name,
        int launches,
        CountedLaunch sum,
        double bytes,
        double flops,
        string occupancy,
        Bound bound
    ) =>
        Line(
            place,
            name,
            Number(launches),
            Number(sum["instructions"]),
            Number(sum.DistinctBytes / 1e6, "F3"),
            bytes > 0 ? Number(sum.DistinctBytes / bytes, "F3") : "-",
            Number(sum.Operations / 1e6, "F2"),
            flops > 0 ? Number(sum.Operations / flops, "F3") : "-",
            Number(sum.SectorsPerRequest, "F2"),
            Number(sum.ReadsPerByte, "F1"),
            Number(sum.BytesAgain(rates.L2Bytes) / 1e6, "F3"),
            Number(sum.ExcessPercent, "F1"),
            Number(sum["shared_bank_conflicts"]),
            Number(sum["local_bytes"]),
            occupancy,
            Text(bound)
        );

    private static string Line(
        string place,
        string name,
        string launches,
        string instructions,
        string bytes,
        string ofBytes,
        string operations,
        string ofOperations,
        string sectors,
        string reads,
        string again,
        string excess,
        string conflicts,
        string local,
        string occupancy,
        string bound
    ) =>
        $"{place, -46} {name, -34} {launches, 8} {instructions, 13} {bytes, 9} {ofBytes, 9} {operations, 9} "
        + $"{ofOperations, 9} {sectors, 8} {reads, 6} {again, 8} {excess, 8} "
        + $"{conflicts, 9} {local, 9} {occupancy, -17} {bound, 16}";

    private string OccupancyOf(IReadOnlyList<CountedLaunch> launches)
    {
        Occupancy least = launches.Select(rates.OccupancyOf).MinBy(occupancy => occupancy.Percent);
        return $"{Number(least.Percent), 3} {least.By}";
    }

    private static string Text(Bound bound) =>
        string.Create(CultureInfo.InvariantCulture, $"{bound.Microseconds:F2} us {bound.By, -6}");

    private static string Number(double value, string format = "N0") =>
        value.ToString(format, CultureInfo.InvariantCulture);
}
